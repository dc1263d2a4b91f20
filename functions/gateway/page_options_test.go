package gateway

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
	"github.com/opengundumstyle/audio-alchemist/test/browser"
)

// pick chooses the value of a select, as a person does.
func pick(p *tab, selector, value string) {
	p.Helper()
	p.Exec(`(() => {
		const field = document.querySelector("` + selector + `");
		field.value = "` + value + `";
		field.dispatchEvent(new Event("change", { bubbles: true }));
	})()`)
}

func optionsGoAlong(p *tab) {
	p.LogIn(testEmail, testPassword)
	p.Choose(video(p, "plain.mp4"))
	p.WaitText("#jobs .name", "plain.mp4")
	if got := p.backend.newest().Options; !reflect.DeepEqual(got, options.Options{}) {
		p.Errorf("untouched, the form asks for %+v", got)
	}
	p.TabTo("#options summary")
	p.Keys(kb.Enter)
	p.Wait(`document.querySelector("#option-title").checkVisibility()`)
	unnamed := browser.Eval[[]string](p.Tab, `[...document.querySelectorAll("#options-form :is(input, select)")]
		.filter((e) => e.labels.length !== 1 || !e.labels[0].innerText.trim()).map((e) => e.outerHTML)`)
	if len(unnamed) > 0 {
		p.Errorf("without a label: %q", unnamed)
	}
	names := browser.Eval[[]string](p.Tab, `[...new Set([...new FormData(document.querySelector("#options-form")).keys()])].sort()`)
	if want := slices.Sorted(slices.Values(options.Names())); !slices.Equal(names, want) {
		p.Errorf("the form has %v, want %v", names, want)
	}
	p.Click(`#options [value="flac"]`)
	p.Click(`#options [value="m4a"]`)
	pick(p, "#option-quality", "v2")
	pick(p, "#option-bitrate", "128k") // takes the place of the quality
	pick(p, "#option-sample_rate", "44100")
	pick(p, "#option-channels", "mono")
	long := strings.Repeat("ü", 100)
	for name, value := range map[string]string{
		"normalize": "-16.5", "track": "eng", "start": "1:02.5", "end": "0:02:00", "title": "Füße am Strand", "artist": "<b>", "album": "B",
		"date": "2026", "genre": "Talk", "comment": long, "cover": "0:05",
	} {
		p.Type("#option-"+name, value)
	}
	p.Choose(video(p, "a.mp4"), video(p, "b.mp4"))
	p.Wait(`document.querySelectorAll("#jobs li").length === 3`)
	want := options.Options{
		Formats: []options.Format{options.MP3, options.M4A, options.FLAC}, Bitrate: 128_000, SampleRate: 44100, Channels: options.Mono,
		Start: options.Time(62500 * time.Millisecond), End: options.Time(2 * time.Minute), Track: "eng", Normalize: -16.5,
		Title: "Füße am Strand", Artist: "<b>", Album: "B", Date: "2026", Genre: "Talk", Comment: long, Cover: "5",
	}
	if got := p.backend.newest(); got.Name != "b.mp4" || !reflect.DeepEqual(got.Options, want) {
		p.Errorf("%s: got  %+v\nwant %+v", got.Name, got.Options, want)
	}
	p.WaitText("#jobs .asked", "format mp3, m4a, flac; bitrate 128k; sample rate 44100; channels mono; start 62.5")
	p.WaitText("#jobs .asked", "comment "+strings.Repeat("ü", 59)+"…; cover 5")
	p.Exec(`scrollTo(0, 0)`)
	p.Size(1100, 1180)
	p.Picture("options-light")
	p.Fits(360, 740)
	p.Fits(320, 256)
	p.Picture("options-phone")
	p.Size(1100, 800)
	p.Click(`#options [type="reset"]`)
	p.Choose(video(p, "after.mp4"))
	p.WaitText("#jobs .name", "after.mp4")
	if got := p.backend.newest().Options; !reflect.DeepEqual(got, options.Options{}) {
		p.Errorf("after the reset, the form asks for %+v", got)
	}
}

func wrongOption(p *tab) {
	p.LogIn(testEmail, testPassword)
	p.Click("#options summary")
	p.Type("#option-start", "1:99")
	p.Click("#options summary")
	p.Choose(video(p, "a.mp4"))
	p.WaitText("#options-error", "From: Seconds such as 83.5, or 1:23.5, or 0:01:23.5. Nothing was uploaded.")
	p.Wait(`document.activeElement.id === "option-start"`)
	if n := browser.Eval[int](p.Tab, `document.querySelectorAll("#uploads li").length`); n != 0 {
		p.Errorf("%d uploads", n)
	}
	p.Type("#option-start", "1:09")
	p.Wait(`document.querySelector("#options-error").hidden`)
	p.Choose(video(p, "a.mp4"))
	p.WaitText("#jobs .asked", "start 69")
	p.Click("#logout")
	p.LogIn(testEmail, testPassword)
	p.Wait(`!document.querySelector("#options").open && document.querySelector("#option-start").value === ""`)
}

func refusedOptions(p *tab) {
	p.Excuse("/upload")
	p.LogIn(testEmail, testPassword)
	p.Click("#options summary")
	p.Type("#option-start", "9")
	p.Type("#option-end", "5")
	p.Choose(video(p, "a.mp4"))
	p.WaitText("#uploads .meta", `The field end takes a time after start, which was "9"; it was "5".`)
}

func severalResults(p *tab) {
	p.backend.add("talk.mp4", job.Converting)
	p.backend.change(func(j *job.View) { j.Options.Formats = []options.Format{options.FLAC, options.MP3} })
	p.LogIn(testEmail, testPassword)
	p.WaitText("#jobs .state", "Converting")
	if n := browser.Eval[int](p.Tab, `document.querySelectorAll("#jobs audio").length`); n != 0 {
		p.Errorf("%d players before there is sound", n)
	}
	p.backend.change(finish)
	p.WaitText("#jobs .state", "Ready")
	got := browser.Eval[[]string](p.Tab, `[...document.querySelectorAll("#jobs .result")].map((e) => [
		e.querySelector(".format").innerText, e.querySelector(".facts").innerText, e.querySelector(".get").getAttribute("aria-label"),
		e.querySelector("audio").getAttribute("aria-label"), e.querySelector(".get").href === e.querySelector("audio").src,
	].join())`)
	want := []string{
		"FLAC,3:21, 4.8 MB,Download talk.flac,Play talk.flac,true",
		"MP3,3:21, 4.8 MB,Download talk.mp3,Play talk.mp3,true",
	}
	if !slices.Equal(got, want) {
		p.Errorf("results\n%q, want\n%q", got, want)
	}
	p.Exec(`document.querySelectorAll("#jobs audio")[1].play()`)
	p.Wait(`document.querySelectorAll("#jobs audio")[1].currentTime > 0`)
	p.Fits(360, 740)
	p.Picture("results")
}
