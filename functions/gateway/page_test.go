package gateway

import (
	"context"
	"errors"
	"net/http/httptest"
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
	"github.com/opengundumstyle/audio-alchemist/test/browser"
)

// tab is the page before a backend of its own.
type tab struct {
	*browser.Tab
	backend *backend
}

func TestPage(t *testing.T) {
	open := browser.Start(t)
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
		"options go with the files chosen after":    optionsGoAlong,
		"a field that is not right keeps the file":  wrongOption,
		"options that exclude each other":           refusedOptions,
		"each result has its link and its player":   severalResults,
		"it fits a phone and 400 % zoom":            phone,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend()
			srv := httptest.NewServer(New(Deps{Routes: b.routes()}))
			t.Cleanup(srv.Close)
			p := &tab{Tab: open(t, srv.URL), backend: b}
			p.Wait(`document.querySelector("#login").checkVisibility()`)
			test(p)
		})
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

func keyboardOnly(p *tab) {
	p.TabTo("#email")
	p.Keys(testEmail, kb.Tab, testPassword, kb.Enter)
	p.Wait(`document.activeElement.id === "studio-title"`)
	p.WaitText("#jobs-empty", "Nothing here yet")

	browser.Call(p.Tab, page.SetInterceptFileChooserDialog, page.SetInterceptFileChooserDialogParams{Enabled: true})
	p.TabTo("#file")
	opened := browser.Do(p.Tab, chromedp.WaitEvent(page.FileChooserOpened, nil, chromedp.KeyEvent(kb.Enter)))
	browser.Call(p.Tab, dom.SetFileInputFiles, dom.SetFileInputFilesParams{
		Files: []string{video(p, "Füße am Strand.mp4")}, BackendNodeID: opened.BackendNodeID,
	})
	p.WaitText("#jobs .state", "Waiting")
	p.backend.change(func(j *job.View) { j.State, j.Progress = job.Converting, 42 })
	p.WaitText("#jobs .state", "Converting 42 %")
	if got := browser.Eval[float64](p.Tab, `document.querySelector("#jobs progress").value`); got != 42 {
		p.Errorf("progress bar at %v, want 42", got)
	}
	p.backend.change(finish)
	p.WaitText("#jobs .state", "Ready")
	p.WaitText("#announce", "Füße am Strand.mp4 is ready.")

	p.TabTo("#jobs .get")
	if got := browser.Eval[string](p.Tab, `document.activeElement.getAttribute("href")`); !strings.HasPrefix(got, "/download?fid=f-") {
		p.Errorf("the link leads to %q", got)
	}
	p.TabTo("#jobs .remove")
	p.Keys(kb.Enter)
	p.Wait(`document.querySelector("#confirm").open && document.activeElement.value === "cancel"`)
	p.Keys(kb.Escape)
	p.Wait(`!document.querySelector("#confirm").open && document.activeElement.matches(".remove:not([aria-disabled])")`)
	p.Keys(kb.Enter)
	p.Wait(`document.querySelector("#confirm").open`)
	p.Keys(kb.Tab, kb.Enter)
	p.Wait(`document.querySelectorAll("#jobs li").length === 0 && document.activeElement.id === "jobs-title"`)
	if n := len(p.backend.jobs); n != 0 {
		p.Errorf("the server still has %d jobs", n)
	}
	p.Run(chromedp.Focus(chromedp.CSS("#logout")))
	p.Keys(kb.Enter)
	p.Wait(`document.activeElement.id === "email" && sessionStorage.length === 0`)
}

func refusedLogins(p *tab) {
	p.Excuse("/login")
	p.Picture("login-light")
	p.Type("#email", testEmail)
	p.Type("#password", "wrong"+kb.Enter)
	p.WaitText("#login-error", "The email address or the password is wrong.")
	p.Type("#email", "often@example.com"+kb.Enter)
	p.WaitText("#login-error", "Try again in 12 minutes.")
	p.Scheme("dark")
	p.Picture("login-dark")
	p.Type("#email", kb.Enter)
	p.WaitText("#login-error", "Enter your email address")
}

func sessionEnds(p *tab) {
	p.LogIn(testEmail, testPassword)
	p.Wait(`sessionStorage.length === 1`)
	p.Run(chromedp.Reload())
	p.WaitText("#jobs-empty", "Nothing here yet")
	p.backend.mu.Lock()
	p.backend.token = "another"
	p.backend.mu.Unlock()
	p.Excuse("401")
	p.Choose(video(p, "late.mp4"))
	p.WaitText("#login-error", "Your session has ended. Please log in again.")
	p.Wait(`document.activeElement.id === "email" && sessionStorage.length === 0`)
}

func cancelledUpload(p *tab) {
	p.backend.gate = make(chan struct{})
	p.LogIn(testEmail, testPassword)
	p.Choose(video(p, "a.mp4"), video(p, "b.mp4"))
	p.Wait(`document.querySelectorAll("#uploads li").length === 2`)
	p.WaitText("#uploads .meta", "waiting")
	p.Click("#uploads li:first-child .cancel")
	select {
	case err := <-p.backend.uploads:
		if !errors.Is(err, context.Canceled) {
			p.Errorf("the server saw %v, want a cancelled request", err)
		}
	case <-time.After(10 * time.Second):
		p.Fatal("the server does not see that the upload was cancelled")
	}
	close(p.backend.gate)
	p.WaitText("#jobs .name", "b.mp4")
	p.Wait(`document.querySelectorAll("#uploads li").length === 0 && document.querySelectorAll("#jobs li").length === 1`)
	p.backend.change(finish)
	p.WaitText("#jobs .state", "Ready")
}

func refusedUpload(p *tab) {
	p.Excuse("/upload")
	p.LogIn(testEmail, testPassword)
	p.Choose(video(p, "huge.mp4"))
	p.WaitText("#uploads .meta", "The file is larger than 2 GiB.")
	p.Click("#uploads .cancel")
	p.Wait(`document.querySelectorAll("#uploads li").length === 0`)
}

func failedJob(p *tab) {
	p.backend.add("silent.mp4", job.Queued)
	p.LogIn(testEmail, testPassword)
	p.WaitText("#jobs .state", "Waiting")
	reason := "The video has no sound."
	p.backend.change(func(j *job.View) { j.State, j.Error = job.Failed, &reason })
	p.WaitText("#jobs .reason", reason)
	p.Click("#jobs .again")
	p.WaitText("#jobs .state", "Waiting")
	p.backend.change(finish)
	p.WaitText("#jobs .state", "Ready")
	p.Wait(`document.querySelector("#jobs .reason").hidden && document.querySelector("#jobs .again").hidden`)
}

func polling(p *tab) {
	p.Excuse("/events")
	p.backend.noStream = true
	p.backend.add("slow.mp4", job.Queued)
	p.LogIn(testEmail, testPassword)
	p.WaitText("#jobs .state", "Waiting")
	p.Wait(`performance.getEntriesByType("resource").filter((e) => e.name.endsWith("/events")).length >= 3`)
	p.backend.change(func(j *job.View) { j.State, j.Progress = job.Converting, 7 })
	p.WaitText("#jobs .state", "Converting 7 %")
	p.backend.change(finish)
	p.WaitText("#jobs .state", "Ready")
}

func paging(p *tab) {
	for range 45 {
		p.backend.add("talk.mp4", job.Done)
	}
	p.LogIn(testEmail, testPassword)
	for _, want := range []string{"20", "40", "45"} {
		p.Wait(`document.querySelectorAll("#jobs li").length === ` + want + ` && !document.querySelector("#more").disabled`)
		if want != "45" {
			p.Run(chromedp.Focus(chromedp.CSS("#more")))
			p.Keys(kb.Enter)
		}
	}
	p.Wait(`document.querySelector("#more").hidden`)
	if got := browser.Eval[int](p.Tab, `[...document.querySelectorAll("#jobs li")].indexOf(document.activeElement)`); got != 40 {
		p.Errorf("the focus is on row %d, want 40: the first of the new ones", got)
	}
}

func hostileText(p *tab) {
	name := `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>.mp4`
	p.backend.add(name, job.Done)
	p.LogIn(testEmail, testPassword)
	p.Wait(`document.querySelectorAll("#jobs li").length === 1`)
	if got := browser.Eval[string](p.Tab, `document.querySelector("#jobs .name").textContent`); got != name {
		p.Errorf("name shown as %q", got)
	}
	if got := browser.Eval[string](p.Tab, `document.title`); got != "Audio Alchemist" {
		p.Errorf("title %q", got)
	}
}

func player(p *tab) {
	p.backend.add("talk.mp4", job.Done)
	p.LogIn(testEmail, testPassword)
	p.Wait(`document.querySelector("#jobs audio[src]")`)
	p.Exec(`document.querySelector("#jobs audio[src]").play()`)
	p.Wait(`document.querySelector("#jobs audio[src]").currentTime > 0`)
}

func phone(p *tab) {
	p.Fits(360, 740)
	p.Picture("phone-login")
	reason := "The video has no sound, so there is nothing to convert."
	p.backend.add("Interview_with_the_whole_orchestra_final_final_version_2026-11-23_really_final.mov", job.Done)
	p.backend.add("silent film.mp4", job.Failed)
	p.backend.change(func(j *job.View) { j.Error = &reason })
	p.backend.add("Füße am Strand.mp4", job.Converting)
	p.backend.change(func(j *job.View) { j.Progress = 64 })
	p.LogIn(testEmail, testPassword)
	p.Wait(`document.querySelectorAll("#jobs li").length === 3`)
	p.Fits(360, 740)
	p.Picture("phone")
	p.Exec(`document.querySelector("#jobs-title").scrollIntoView()`)
	p.Picture("phone-jobs")
	p.Fits(320, 256) // 1280 × 1024 at 400 %
	p.Size(1100, 1180)
	p.Exec(`scrollTo(0, 0)`)
	p.Picture("page-light")
	p.Scheme("dark")
	p.Picture("page-dark")
	p.Click("#jobs li:last-child .remove")
	p.Wait(`document.querySelector("#confirm").open`)
	p.Picture("confirm-dark")
	p.Keys(kb.Escape)
}
