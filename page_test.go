package alchemist_test

import (
	"encoding/json"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
	"github.com/opengundumstyle/audio-alchemist/test/browser"
)

// visitor is somebody before the page of the real program.
type visitor struct {
	*browser.Tab
	server *server
}

func TestPageOnTheRealProgram(t *testing.T) {
	open := browser.Start(t)
	for name, test := range map[string]func(*visitor){
		"a video becomes sound that plays":                soundThatPlays,
		"a long conversion shows how far it is":           longConversion,
		"what is no video says so and can be tried again": noVideo,
		"options go with the video":                       optionsGoAlong,
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, p *place) {
				s := start(t, p)
				v := &visitor{Tab: open(t, s.url), server: s}
				v.Wait(`document.querySelector("#login").checkVisibility()`)
				test(v)
			})
		})
	}
}

// file writes a file of the name to choose.
func (v *visitor) file(name string, content []byte) string {
	v.Helper()
	path := filepath.Join(v.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		v.Fatal(err)
	}
	return path
}

// jobs asks the server itself for the admin's jobs.
func (v *visitor) jobs() []job.View {
	v.Helper()
	status, body := v.server.admin(v.T).call(v.T, http.MethodGet, "/jobs")
	if status != http.StatusOK {
		v.Fatalf("jobs: %d %s", status, body)
	}
	return decode[struct{ Jobs []job.View }](v.T, body).Jobs
}

// observe has the page remember each text that an element shows from now on.
func (v *visitor) observe(selector string) {
	v.Helper()
	raw, err := json.Marshal(selector)
	if err != nil {
		v.Fatal(err)
	}
	v.Exec(`(() => {
		window.shown = [];
		new MutationObserver(() => {
			const text = document.querySelector(` + string(raw) + `)?.innerText;
			if (text && text !== window.shown.at(-1)) window.shown.push(text);
		}).observe(document.body, { subtree: true, childList: true, characterData: true });
	})()`)
}

// shown returns what was observed.
func (v *visitor) shown() []string {
	v.Helper()
	return browser.Eval[[]string](v.Tab, `window.shown`)
}

// slowly lets uploads take their time, in bytes per second; -1 ends that.
func (v *visitor) slowly(rate float64) {
	v.Helper()
	browser.Call(v.Tab, network.Enable, network.EnableParams{})
	browser.Call(v.Tab, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: rate}},
	})
}

func soundThatPlays(v *visitor) {
	v.Excuse("the server responded with a status of 401")
	v.Type("#email", adminEmail)
	v.Type("#password", "wrong"+kb.Enter)
	v.WaitText("#login-error", "The email address or the password is wrong.")
	v.LogIn(adminEmail, adminPassword)
	v.WaitText("#jobs-empty", "Nothing here yet")

	name := "Füße am Strand 海 🌊.mp4"
	content := video(v.T, 8)
	v.observe("#jobs .state")
	v.slowly(float64(len(content)) / 2)
	v.Choose(v.file(name, content))
	v.WaitText("#uploads .name", name)
	v.Wait(`(document.querySelector("#uploads progress").value ?? 0) > 0 && document.querySelector("#uploads progress").value < 100`)
	v.WaitText("#jobs .name", name)
	v.slowly(-1)
	v.WaitText("#jobs .state", "Ready")
	if states := v.shown(); len(states) < 2 || states[len(states)-1] != "Ready" {
		v.Errorf("the states shown are %q, want one before the last, Ready", states)
	}
	v.Wait(`document.querySelectorAll("#uploads li").length === 0`)

	v.plays(8)
	v.downloads()
	v.Run(chromedp.Reload())
	v.WaitText("#jobs .name", name)
	v.WaitText("#jobs .state", "Ready")
	v.deletesByKeyboard()
	v.Click("#logout")
	v.Wait(`document.querySelector("#login").checkVisibility() && sessionStorage.length === 0`)
	v.Run(chromedp.Reload())
	v.Wait(`document.querySelector("#login").checkVisibility() && document.querySelectorAll("#jobs li").length === 0`)
}

// plays checks that the first player knows how long the sound is and plays it.
func (v *visitor) plays(seconds float64) {
	v.Helper()
	got := browser.Eval[float64](v.Tab, `new Promise((resolve, reject) => {
		const audio = document.querySelector("#jobs audio");
		audio.addEventListener("loadedmetadata", () => resolve(audio.duration), { once: true });
		audio.addEventListener("error", () => reject(audio.error), { once: true });
		audio.preload = "metadata";
		audio.load();
	})`)
	if math.Abs(got-seconds) >= 0.3 {
		v.Errorf("the player says %g s, want %g", got, seconds)
	}
	v.Exec(`document.querySelector("#jobs audio").play()`)
	v.Wait(`document.querySelector("#jobs audio").currentTime > 0.5`)
	v.Exec(`document.querySelector("#jobs audio").pause()`)
}

// downloads checks that the link of the only job leads to its MP3, and that a
// click on it saves that under the video's name.
func (v *visitor) downloads() {
	v.Helper()
	all := v.jobs()
	if len(all) != 1 || len(all[0].Results) != 1 {
		v.Fatalf("the server has %+v, want one job with one result", all)
	}
	want := all[0].Results[0]
	got := browser.Eval[struct {
		Status      int
		Type, Named string
		Bytes       int64
	}](v.Tab, `fetch(document.querySelector("#jobs .get").href).then(async (answer) => ({
		Status: answer.status, Type: answer.headers.get("Content-Type"),
		Named: answer.headers.get("Content-Disposition"), Bytes: (await answer.arrayBuffer()).byteLength,
	}))`)
	if got.Status != http.StatusOK || got.Type != "audio/mpeg" || got.Bytes != want.Bytes || !strings.Contains(got.Named, "attachment") {
		v.Errorf("the link leads to %+v, want %+v", got, want)
	}
	folder := v.TempDir()
	v.SaveTo(folder)
	v.Click("#jobs .get")
	eventually(v.T, want.Name+" is saved", 10*time.Second, func() bool {
		saved, err := os.Stat(filepath.Join(folder, want.Name))
		return err == nil && saved.Size() == want.Bytes
	})
}

// deletesByKeyboard deletes the only job, after a change of mind.
func (v *visitor) deletesByKeyboard() {
	v.Helper()
	v.TabTo("#jobs .remove")
	v.Keys(kb.Enter)
	v.Wait(`document.querySelector("#confirm").open && document.activeElement.value === "cancel"`)
	v.Keys(kb.Escape)
	v.Wait(`!document.querySelector("#confirm").open && document.activeElement.matches(".remove:not([aria-disabled])")`)
	if n := len(v.jobs()); n != 1 {
		v.Errorf("%d jobs after Escape, want 1", n)
	}
	v.Keys(kb.Enter)
	v.Wait(`document.querySelector("#confirm").open`)
	v.Keys(kb.Tab, kb.Enter)
	v.Wait(`document.querySelectorAll("#jobs li").length === 0`)
	v.WaitText("#jobs-empty", "Nothing here yet")
	if left := v.jobs(); len(left) != 0 {
		v.Errorf("the server still has %+v", left)
	}
}

func optionsGoAlong(v *visitor) {
	v.Excuse("the server responded with a status of 400")
	v.LogIn(adminEmail, adminPassword)
	v.Click("#options summary")
	v.Click(`#options [value="mp3"]`)
	v.Click(`#options [value="flac"]`)
	v.Exec(`document.querySelector("#option-bitrate").value = "128k"`)
	name := v.file("talk.mp4", video(v.T, 8))
	v.Choose(name)
	v.WaitText("#uploads .meta", `The field bitrate takes a value only with a format that has it, mp3, m4a, opus or ogg; it was "128k" with the format flac.`)
	if all := v.jobs(); len(all) != 0 {
		v.Errorf("refused, and the server has %+v", all)
	}
	v.Click("#uploads .cancel")
	v.Click(`#options [value="mp3"]`)
	v.Type("#option-title", "Füße am Strand 海")
	v.Type("#option-end", "0:04.5")
	v.Choose(name)
	v.WaitText("#jobs .state", "Ready")
	all := v.jobs()
	want := options.Options{
		Formats: []options.Format{options.MP3, options.FLAC}, Bitrate: 128_000, End: options.Time(4500 * time.Millisecond), Title: "Füße am Strand 海",
	}
	if len(all) != 1 || !reflect.DeepEqual(all[0].Options, want) {
		v.Fatalf("the server has %+v, want one job with %+v", all, want)
	}
	v.WaitText("#jobs .asked", "format mp3, flac; bitrate 128k; end 4.5; title Füße am Strand 海")
	links := browser.Eval[[]string](v.Tab, `[...document.querySelectorAll("#jobs .result")].filter((e) => e.querySelector("audio").src).
		map((e) => e.querySelector(".get").getAttribute("aria-label"))`)
	var results []string
	for _, r := range all[0].Results {
		results = append(results, "Download "+r.Name)
	}
	if !slices.Equal(links, results) {
		v.Errorf("the page links %q, the server has %q", links, results)
	}
	v.Fits(360, 740)
}

func longConversion(v *visitor) {
	v.LogIn(adminEmail, adminPassword)
	v.Choose(v.file("Lecture 4, waves and strings.mp4", video(v.T, 201)))
	v.WaitText("#jobs .state", "Ready")
	v.plays(201)
	v.Exec(`document.querySelector("#jobs audio").currentTime = 0`)
	browser.Call(v.Tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{ // the bar shows what the label says
		Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	v.observe("#jobs .state")
	v.Choose(v.file("Rehearsal in the old town hall.mp4", video(v.T, 1000, "-r", "1", "-c:a", "alac")))
	v.Size(1100, 1130)
	v.Wait(`document.querySelectorAll("#jobs li").length === 2 && window.shown.some((text) => /^Converting [1-9]/.test(text))`)
	v.Wait(`document.querySelector("#jobs progress").value >= 40 || document.querySelector("#jobs progress").hidden`)
	v.Picture("page")
	v.Fits(360, 740)
	v.WaitText("#jobs li:first-child .state", "Ready")
	var percents []int
	for _, text := range v.shown() {
		if percent, converting := strings.CutPrefix(text, "Converting "); converting {
			n, err := strconv.Atoi(strings.TrimSuffix(percent, " %"))
			if err != nil {
				v.Errorf("shown as state: %q", text)
			}
			percents = append(percents, n)
		}
	}
	if len(percents) < 2 || !slices.IsSorted(percents) {
		v.Errorf("the conversion was shown at %v percent, want them to rise", percents)
	}
	v.Fits(360, 740)
}

func noVideo(v *visitor) {
	v.LogIn(adminEmail, adminPassword)
	v.observe("#jobs .state")
	v.Choose(v.file("minutes.mp4", []byte("The minutes of the meeting, which nobody filmed.")))
	v.WaitText("#jobs .state", "Failed")
	v.WaitText("#jobs .reason", "This is not a video or audio file")
	v.WaitText("#jobs .again", "Try again")
	v.Fits(360, 740)
	before := len(v.shown())
	v.Click("#jobs .again")
	v.Wait(`window.shown.length >= ` + strconv.Itoa(before+2) + ` && window.shown.at(-1) === "Failed"`)
	v.WaitText("#jobs .reason", "This is not a video or audio file")
	if again := v.shown()[before:]; again[0] != "Waiting" {
		v.Errorf("after Try again the states are %q, want Waiting first", again)
	}
	v.Fits(360, 740)
}
