package browser

import (
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Keys presses keys: characters, or what chromedp's package kb names.
func (p *Tab) Keys(keys ...string) {
	p.Helper()
	for _, k := range keys {
		p.Run(chromedp.KeyEvent(k))
	}
}

// TabTo presses Tab until what has the focus matches the selector.
func (p *Tab) TabTo(selector string) {
	p.Helper()
	for range 30 {
		p.Keys(kb.Tab)
		if Eval[bool](p, `document.activeElement.matches(`+quoted(selector)+`)`) {
			return
		}
	}
	p.Fatalf("Tab does not reach %s", selector)
}

// Click clicks the middle of an element.
func (p *Tab) Click(selector string) {
	p.Helper()
	p.Run(chromedp.Click(chromedp.CSS(selector)))
}

// Type types text in place of what a field holds.
func (p *Tab) Type(selector, text string) {
	p.Helper()
	p.Exec(`document.querySelector(` + quoted(selector) + `).value = ""`)
	p.Run(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Choose puts files into the page's file input, as the dialog would.
func (p *Tab) Choose(paths ...string) {
	p.Helper()
	p.Run(chromedp.SetUploadFiles(chromedp.CSS("#file"), paths))
}

// SaveTo has the tab save what is downloaded to a folder.
func (p *Tab) SaveTo(folder string) {
	p.Helper()
	Call(p, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior:         browser.SetDownloadBehaviorBehaviorAllow,
		BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
		DownloadPath:     folder,
	})
}

// LogIn fills in the form as a person with a mouse would.
func (p *Tab) LogIn(email, password string) {
	p.Helper()
	p.Type("#email", email)
	p.Type("#password", password)
	p.Click("#login-form button")
	p.Wait(`document.querySelector("#studio").checkVisibility()`)
}

// Size makes the window so large, in CSS pixels.
func (p *Tab) Size(width, height int64) {
	p.Helper()
	p.Run(chromedp.EmulateViewport(width, height))
}

// Scheme prefers "light" or "dark" colours, and returns when they have settled.
func (p *Tab) Scheme(name string) {
	p.Helper()
	Call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
	p.Wait(`document.getAnimations().every((a) => a.effect.getComputedTiming().iterations === Infinity)`)
}

// Fits makes the window so large and checks that nothing has to be scrolled
// sideways and that what can be touched is at least 44 px high and wide.
func (p *Tab) Fits(width, height int64) {
	p.Helper()
	p.Size(width, height)
	if got := Eval[int64](p, `document.scrollingElement.scrollWidth`); got > width {
		p.Errorf("the page is %d px wide in a window of %d", got, width)
	}
	small := Eval[[]string](p, `[...document.querySelectorAll("button, a, label.primary, form.card input, audio, summary, .options :is(select, .field input, label.check)")]
		.filter((e) => e.checkVisibility() && !e.matches(".skip"))
		.filter((e) => e.getBoundingClientRect().height < 44 || e.getBoundingClientRect().width < 44)
		.map((e) => e.outerHTML)`)
	if len(small) > 0 {
		p.Errorf("too small to touch: %q", small)
	}
}
