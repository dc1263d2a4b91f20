package gateway

import (
	"context"
	"flag"
	"iter"
	"net/http/httptest"
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

var screenshots = flag.String("screenshots", "", "folder that the browser test writes pictures of the page to")

// startBrowser starts one headless Chromium for a test and returns a function
// that opens a tab of its own, with its own storage, for a subtest.
func startBrowser(t *testing.T) func(*testing.T) *tab {
	t.Helper()
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options,
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.WSURLReadTimeout(60*time.Second),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	browser, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(browser); err != nil {
			t.Errorf("close the browser: %v", err)
		}
		closeBrowser()
		cancel()
	})
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return func(t *testing.T) *tab { return newTab(t, browser) }
}

// tab is one page under test. Whatever the page does wrong by itself (errors
// on the console, exceptions, violations of the content policy) fails the test
// at its end.
type tab struct {
	*testing.T
	ctx     context.Context
	backend *backend
	url     string

	mu      sync.Mutex
	excused []string // parts of console messages that the test provokes
	faults  []string
}

func newTab(t *testing.T, browser context.Context) *tab {
	t.Helper()
	ctx, cancelTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	ctx, cancelTime := context.WithTimeout(ctx, time.Minute)
	b := newBackend()
	srv := httptest.NewServer(New(Deps{Routes: b.routes()}))
	p := &tab{T: t, ctx: ctx, backend: b, url: srv.URL}
	t.Cleanup(func() {
		p.check()
		cancelTime()
		srv.CloseClientConnections()
		srv.Close()
	})
	console := chromedp.Console(ctx) // this opens the tab
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		p.listen(console)
	}()
	t.Cleanup(func() { cancelTab(); <-listening })
	call(p, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: "en-GB"})
	p.size(1100, 800)
	p.run(chromedp.Navigate(p.url))
	p.wait(`document.querySelector("#login").checkVisibility()`)
	return p
}

func (p *tab) listen(console iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range console {
		if err != nil {
			return // the tab is closed
		}
		p.mu.Lock()
		p.faults = append(p.faults, m.String()+" "+m.URL)
		p.mu.Unlock()
	}
}

// excuse names a part of the console messages that the test itself causes.
func (p *tab) excuse(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.excused = append(p.excused, part)
}

func (p *tab) check() {
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

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.picture("failed")
		p.Fatal(err)
	}
}

// call runs a command of the DevTools protocol.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) {
	p.Helper()
	if _, err := chromedp.Call(p.ctx, command, params); err != nil {
		p.Fatalf("%s: %v", command.Method, err)
	}
}

// eval returns the value of a JavaScript expression.
func eval[T any](p *tab, expression string) T {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.picture("failed")
		p.Fatalf("%s: %v", expression, err)
	}
	return v
}

// wait polls until the expression is true.
func (p *tab) wait(expression string) {
	p.Helper()
	_, err := chromedp.Run(p.ctx, chromedp.Poll[bool]("!!("+expression+")",
		chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(15*time.Second)))
	if err != nil {
		p.picture("failed")
		p.Fatalf("waiting for %s: %v\nthe page says: %s", expression, err, eval[string](p, "document.body.innerText"))
	}
}

// waitText waits until the visible text of an element contains a part.
func (p *tab) waitText(selector, part string) {
	p.Helper()
	p.wait(`[...document.querySelectorAll("` + selector + `")].some((e) => e.innerText.includes("` + part + `"))`)
}

func (p *tab) keys(keys ...string) {
	p.Helper()
	for _, k := range keys {
		p.run(chromedp.KeyEvent(k))
	}
}

func (p *tab) size(width, height int64) {
	p.Helper()
	p.run(chromedp.EmulateViewport(width, height))
}

func (p *tab) scheme(name string) {
	p.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
	p.wait(`document.getAnimations().every((a) => a.effect.getComputedTiming().iterations === Infinity)`)
}

// picture writes a PNG of the whole page where -screenshots asks for it.
func (p *tab) picture(name string) {
	if *screenshots == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(*screenshots, name+".png"), png, 0o644)
	}
	if err != nil {
		p.Errorf("picture %s: %v", name, err)
	}
}

// logIn fills in the form as a person with a mouse would.
func (p *tab) logIn() {
	p.Helper()
	p.typeIn("#email", testEmail)
	p.typeIn("#password", testPassword)
	p.click("#login-form button")
	p.wait(`document.querySelector("#studio").checkVisibility()`)
}

func (p *tab) click(selector string) {
	p.Helper()
	p.run(chromedp.Click(chromedp.CSS(selector)))
}

// typeIn types text in place of what a field holds.
func (p *tab) typeIn(selector, text string) {
	p.Helper()
	p.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("`+selector+`").value = ""`), chromedp.SendKeys(chromedp.CSS(selector), text))
}
