package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const (
	lifetime = 2 * time.Minute  // of a tab
	patience = 30 * time.Second // of one Wait
)

// Tab is one page under test. Whatever the page does wrong by itself (errors
// on the console, exceptions, violations of the content policy) fails the test
// at its end, and so does a tab that is still in use after two minutes.
type Tab struct {
	*testing.T

	ctx     context.Context
	mu      sync.Mutex
	excused []string // parts of console messages that the test provokes
	faults  []string
}

func newTab(t *testing.T, browser context.Context, url string) *Tab {
	t.Helper()
	ctx, cancelTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	ctx, cancelTime := context.WithTimeout(ctx, lifetime)
	p := &Tab{T: t, ctx: ctx}
	console := chromedp.Console(ctx) // this opens the tab
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		p.listen(console)
	}()
	t.Cleanup(func() {
		cancelTab()
		<-listening
		cancelTime()
		p.check()
	})
	Call(p, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: "en-GB"})
	p.Size(1100, 800)
	p.Run(chromedp.Navigate(url))
	return p
}

func (p *Tab) listen(console iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range console {
		if err != nil {
			return // the tab is closed
		}
		p.mu.Lock()
		p.faults = append(p.faults, m.String()+" "+m.URL)
		p.mu.Unlock()
	}
}

// Excuse names a part of the console messages that the test itself causes;
// they are then no fault of the page.
func (p *Tab) Excuse(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.excused = append(p.excused, part)
}

func (p *Tab) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
faults:
	for _, fault := range p.faults {
		for _, part := range p.excused {
			if strings.Contains(fault, part) {
				continue faults
			}
		}
		p.Errorf("on the console: %s", fault)
	}
}

// Run does the actions, one after the other.
func (p *Tab) Run(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.fail(err)
	}
}

// Do does one action and returns what it yields.
func Do[T any](p *Tab, action chromedp.Action[T]) T {
	p.Helper()
	v, err := chromedp.Run(p.ctx, action)
	if err != nil {
		p.fail(err)
	}
	return v
}

// Call runs a command of the DevTools protocol.
func Call[P, R any](p *Tab, command cdp.Command[P, R], params P) {
	p.Helper()
	if _, err := chromedp.Call(p.ctx, command, params); err != nil {
		p.fail(fmt.Errorf("%s: %w", command.Method, err))
	}
}

// Eval returns the value of a JavaScript expression, of a promise the value it
// is fulfilled with.
func Eval[T any](p *Tab, expression string) T {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.fail(fmt.Errorf("%s: %w", expression, err))
	}
	return v
}

// Exec evaluates a JavaScript expression for what it does.
func (p *Tab) Exec(expression string) {
	p.Helper()
	p.Run(chromedp.Evaluate[chromedp.Void]("void (" + expression + ")"))
}

// Wait polls until the JavaScript expression is true, 30 seconds at most.
func (p *Tab) Wait(expression string) {
	p.Helper()
	_, err := chromedp.Run(p.ctx, chromedp.Poll[bool]("!!("+expression+")",
		chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		p.fail(fmt.Errorf("waiting for %s: %w", expression, err))
	}
}

// WaitText waits until the visible text of an element contains a part.
func (p *Tab) WaitText(selector, part string) {
	p.Helper()
	p.Wait(`[...document.querySelectorAll(` + quoted(selector) + `)].some((e) => e.innerText.includes(` + quoted(part) + `))`)
}

// fail ends the test with the error, what the page says and its picture.
func (p *Tab) fail(err error) {
	p.Helper()
	p.Picture("failed")
	text, textErr := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if textErr != nil {
		text = textErr.Error()
	}
	p.Fatalf("%v\nthe page says: %s", err, text)
}

// Picture writes a PNG of the window to the folder that the flag -screenshots
// names, if it does.
func (p *Tab) Picture(name string) {
	if *screenshots == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(*screenshots, name+".png"), png, 0o600)
	}
	if err != nil {
		p.Errorf("picture %s: %v", name, err)
	}
}

// quoted returns the text as a JavaScript string.
func quoted(text string) string {
	raw, _ := json.Marshal(text) // a string always can be
	return string(raw)
}
