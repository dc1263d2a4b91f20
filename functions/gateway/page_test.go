package gateway

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

func TestPage(t *testing.T) {
	open := startBrowser(t)
	for name, test := range map[string]func(*tab){
		"the keyboard is enough":                    keyboardOnly,
		"wrong and too many passwords":              refusedLogins,
		"a session that ends leads to the login":    sessionEnds,
		"an upload can be cancelled":                cancelledUpload,
		"a refused upload says why":                 refusedUpload,
		"a failed job tells why and can be retried": failedJob,
		"progress arrives without streams":          polling,
		"older jobs come on demand":                 paging,
		"text of others stays text":                 hostileText,
		"the player plays":                          player,
		"it fits a phone and 400 % zoom":            phone,
	} {
		t.Run(name, func(t *testing.T) { test(open(t)) })
	}
}

// video returns the path of a file to choose.
func video(p *tab, name string) string {
	p.Helper()
	path := filepath.Join(p.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Repeat("video", 20_000)), 0o600); err != nil {
		p.Fatal(err)
	}
	return path
}

// tabTo presses Tab until the selector has the focus.
func (p *tab) tabTo(selector string) {
	p.Helper()
	for range 30 {
		p.keys(kb.Tab)
		if eval[bool](p, `document.activeElement.matches("`+selector+`")`) {
			return
		}
	}
	p.Fatalf("Tab does not reach %s", selector)
}

func keyboardOnly(p *tab) {
	p.tabTo("#email")
	p.keys(testEmail, kb.Tab, testPassword, kb.Enter)
	p.wait(`document.activeElement.id === "studio-title"`)
	p.waitText("#jobs-empty", "Nothing here yet")

	call(p, page.SetInterceptFileChooserDialog, page.SetInterceptFileChooserDialogParams{Enabled: true})
	p.tabTo("#file")
	opened, err := chromedp.Run(p.ctx, chromedp.WaitEvent(page.FileChooserOpened, nil, chromedp.KeyEvent(kb.Enter)))
	if err != nil {
		p.Fatalf("Enter opens no file chooser: %v", err)
	}
	call(p, dom.SetFileInputFiles, dom.SetFileInputFilesParams{
		Files: []string{video(p, "Füße am Strand.mp4")}, BackendNodeID: opened.BackendNodeID,
	})
	p.waitText("#jobs .state", "Waiting")
	p.backend.change(func(j *job.View) { j.State, j.Progress = job.Converting, 42 })
	p.waitText("#jobs .state", "Converting 42 %")
	if got := eval[float64](p, `document.querySelector("#jobs progress").value`); got != 42 {
		p.Errorf("progress bar at %v, want 42", got)
	}
	p.backend.change(finish)
	p.waitText("#jobs .state", "Ready")
	p.waitText("#announce", "Füße am Strand.mp4 is ready.")

	p.tabTo("#jobs .get")
	if got := eval[string](p, `document.activeElement.getAttribute("href")`); !strings.HasPrefix(got, "/download?fid=f-") {
		p.Errorf("the link leads to %q", got)
	}
	p.tabTo("#jobs .remove")
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#confirm").open && document.activeElement.value === "cancel"`)
	p.keys(kb.Escape)
	p.wait(`!document.querySelector("#confirm").open && document.activeElement.matches(".remove:not([aria-disabled])")`)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#confirm").open`)
	p.keys(kb.Tab, kb.Enter)
	p.wait(`document.querySelectorAll("#jobs li").length === 0 && document.activeElement.id === "jobs-title"`)
	if n := len(p.backend.jobs); n != 0 {
		p.Errorf("the server still has %d jobs", n)
	}
	p.run(chromedp.Focus(chromedp.CSS("#logout")))
	p.keys(kb.Enter)
	p.wait(`document.activeElement.id === "email" && sessionStorage.length === 0`)
}

func refusedLogins(p *tab) {
	p.excuse("/login")
	p.picture("login-light")
	p.typeIn("#email", testEmail)
	p.typeIn("#password", "wrong"+kb.Enter)
	p.waitText("#login-error", "The email address or the password is wrong.")
	p.typeIn("#email", "often@example.com"+kb.Enter)
	p.waitText("#login-error", "Try again in 12 minutes.")
	p.scheme("dark")
	p.picture("login-dark")
	p.typeIn("#email", kb.Enter)
	p.waitText("#login-error", "Enter your email address")
}

func sessionEnds(p *tab) {
	p.logIn()
	p.wait(`sessionStorage.length === 1`)
	p.run(chromedp.Reload())
	p.waitText("#jobs-empty", "Nothing here yet")
	p.backend.mu.Lock()
	p.backend.token = "another"
	p.backend.mu.Unlock()
	p.excuse("401")
	p.run(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{video(p, "late.mp4")}))
	p.waitText("#login-error", "Your session has ended. Please log in again.")
	p.wait(`document.activeElement.id === "email" && sessionStorage.length === 0`)
}

func cancelledUpload(p *tab) {
	p.backend.gate = make(chan struct{})
	p.logIn()
	p.run(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{video(p, "a.mp4"), video(p, "b.mp4")}))
	p.wait(`document.querySelectorAll("#uploads li").length === 2`)
	p.waitText("#uploads .meta", "waiting")
	p.click("#uploads li:first-child .cancel")
	select {
	case err := <-p.backend.uploads:
		if !errors.Is(err, context.Canceled) {
			p.Errorf("the server saw %v, want a cancelled request", err)
		}
	case <-time.After(10 * time.Second):
		p.Fatal("the server does not see that the upload was cancelled")
	}
	close(p.backend.gate)
	p.waitText("#jobs .name", "b.mp4")
	p.wait(`document.querySelectorAll("#uploads li").length === 0 && document.querySelectorAll("#jobs li").length === 1`)
	p.backend.change(finish)
	p.waitText("#jobs .state", "Ready")
}

func refusedUpload(p *tab) {
	p.excuse("/upload")
	p.logIn()
	p.run(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{video(p, "huge.mp4")}))
	p.waitText("#uploads .meta", "The file is larger than 2 GiB.")
	p.click("#uploads .cancel")
	p.wait(`document.querySelectorAll("#uploads li").length === 0`)
}

func failedJob(p *tab) {
	p.backend.add("silent.mp4", job.Queued)
	p.logIn()
	p.waitText("#jobs .state", "Waiting")
	reason := "The video has no sound."
	p.backend.change(func(j *job.View) { j.State, j.Error = job.Failed, &reason })
	p.waitText("#jobs .reason", reason)
	p.click("#jobs .again")
	p.waitText("#jobs .state", "Waiting")
	p.backend.change(finish)
	p.waitText("#jobs .state", "Ready")
	p.wait(`document.querySelector("#jobs .reason").hidden && document.querySelector("#jobs .again").hidden`)
}

func polling(p *tab) {
	p.excuse("/events")
	p.backend.noStream = true
	p.backend.add("slow.mp4", job.Queued)
	p.logIn()
	p.waitText("#jobs .state", "Waiting")
	p.wait(`performance.getEntriesByType("resource").filter((e) => e.name.endsWith("/events")).length >= 3`)
	p.backend.change(func(j *job.View) { j.State, j.Progress = job.Converting, 7 })
	p.waitText("#jobs .state", "Converting 7 %")
	p.backend.change(finish)
	p.waitText("#jobs .state", "Ready")
}

func paging(p *tab) {
	for range 45 {
		p.backend.add("talk.mp4", job.Done)
	}
	p.logIn()
	for _, want := range []string{"20", "40", "45"} {
		p.wait(`document.querySelectorAll("#jobs li").length === ` + want + ` && !document.querySelector("#more").disabled`)
		if want != "45" {
			p.run(chromedp.Focus(chromedp.CSS("#more")))
			p.keys(kb.Enter)
		}
	}
	p.wait(`document.querySelector("#more").hidden`)
	if got := eval[int](p, `[...document.querySelectorAll("#jobs li")].indexOf(document.activeElement)`); got != 40 {
		p.Errorf("the focus is on row %d, want 40: the first of the new ones", got)
	}
}

func hostileText(p *tab) {
	name := `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>.mp4`
	p.backend.add(name, job.Done)
	p.logIn()
	p.wait(`document.querySelectorAll("#jobs li").length === 1`)
	if got := eval[string](p, `document.querySelector("#jobs .name").textContent`); got != name {
		p.Errorf("name shown as %q", got)
	}
	if got := eval[string](p, `document.title`); got != "Audio Alchemist" {
		p.Errorf("title %q", got)
	}
}

func player(p *tab) {
	p.backend.add("Lecture 4, waves and strings.mkv", job.Done)
	p.backend.add("Rehearsal in the old town hall.mov", job.Converting)
	p.backend.change(func(j *job.View) { j.Progress = 64 })
	p.logIn()
	p.wait(`document.querySelector("#jobs audio[src]")`)
	p.size(1100, 990)
	p.picture("readme")
	p.run(chromedp.Evaluate[chromedp.Void](`void document.querySelector("#jobs audio[src]").play()`))
	p.wait(`document.querySelector("#jobs audio[src]").currentTime > 0`)
}

func phone(p *tab) {
	p.size(360, 740)
	p.fits(360)
	p.picture("phone-login")
	reason := "The video has no sound, so there is nothing to convert."
	p.backend.add("Interview_with_the_whole_orchestra_final_final_version_2026-11-23_really_final.mov", job.Done)
	p.backend.add("silent film.mp4", job.Failed)
	p.backend.change(func(j *job.View) { j.Error = &reason })
	p.backend.add("Füße am Strand.mp4", job.Converting)
	p.backend.change(func(j *job.View) { j.Progress = 64 })
	p.logIn()
	p.wait(`document.querySelectorAll("#jobs li").length === 3`)
	p.fits(360)
	p.picture("phone")
	p.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#jobs-title").scrollIntoView()`))
	p.picture("phone-jobs")
	p.size(320, 256) // 1280 × 1024 at 400 %
	p.fits(320)
	p.size(1100, 1180)
	p.run(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
	p.picture("page-light")
	p.scheme("dark")
	p.picture("page-dark")
	p.click("#jobs li:last-child .remove")
	p.wait(`document.querySelector("#confirm").open`)
	p.picture("confirm-dark")
	p.keys(kb.Escape)
}

// fits checks that nothing has to be scrolled sideways and that what can be
// touched is at least 44 px high and wide.
func (p *tab) fits(width int) {
	p.Helper()
	if got := eval[int](p, `document.scrollingElement.scrollWidth`); got > width {
		p.Errorf("the page is %d px wide in a window of %d", got, width)
	}
	small := eval[[]string](p, `[...document.querySelectorAll("button, a, label.primary, form.card input, audio")]
		.filter((e) => e.checkVisibility() && !e.matches(".skip"))
		.filter((e) => e.getBoundingClientRect().height < 44 || e.getBoundingClientRect().width < 44)
		.map((e) => e.outerHTML)`)
	if len(small) > 0 {
		p.Errorf("too small to touch: %q", small)
	}
}
