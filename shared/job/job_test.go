package job

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

func TestCleanName(t *testing.T) {
	long := strings.Repeat("ä", 600) + ".mp4"
	tests := map[string]struct{ in, want string }{
		"plain":              {"talk.mp4", "talk.mp4"},
		"unicode":            {"Füße 東京 🎬.mov", "Füße 東京 🎬.mov"},
		"quotes":             {`a "quoted" 'name'.mp4`, `a "quoted" 'name'.mp4`},
		"unix path":          {"../../etc/passwd.mp4", "passwd.mp4"},
		"windows path":       {`C:\Users\me\clip.avi`, "clip.avi"},
		"control characters": {"a\x00b\r\nc.mp4", "abc.mp4"},
		"bidi override":      {"gpj\u202e4pm.mp4", "gpj4pm.mp4"},
		"line separators":    {"a\u2028b\u2029c", "abc"},
		"not UTF-8":          {"a\xffb.mp4", "a\uFFFDb.mp4"},
		"empty":              {"", "upload"},
		"only dots":          {"..", "upload"},
		"only a slash":       {"/", "upload"},
		"only spaces":        {"   ", "upload"},
		"300 characters":     {strings.Repeat("x", 296) + ".mp4", strings.Repeat("x", 296) + ".mp4"},
		"over the limit":     {long, strings.Repeat("ä", MaxName-4) + ".mp4"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := CleanName(tt.in); got != tt.want {
				t.Errorf("CleanName(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestResultName(t *testing.T) {
	tests := map[string]string{
		"talk.mp4": "talk", "archive.tar.mkv": "archive.tar",
		"noext": "noext", ".mp4": ".mp4", "song.mp3": "song", "song.flac": "song",
	}
	for in, want := range tests {
		for _, f := range options.Formats() {
			if got := ResultName(in, string(f)); got != want+"."+string(f) {
				t.Errorf("ResultName(%q, %s) = %q, want %q", in, f, got, want+"."+string(f))
			}
		}
	}
}

func TestViewOfAFreshJobHasEveryField(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	j := Job{ID: "1", Name: "a.mp4", State: Received, CreatedAt: at, UpdatedAt: at}
	got, err := json.Marshal(j.View(func(string) string { return "" }))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"1","name":"a.mp4","state":"received","progress":0,` +
		`"created_at":"2026-01-02T03:04:05.006Z","updated_at":"2026-01-02T03:04:05.006Z","error":null,"options":{},"results":[]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestViewTellsWhatWasAskedFor(t *testing.T) {
	j := Job{Options: options.Options{Formats: []options.Format{options.FLAC, options.MP3}, Normalize: -16, Start: options.Time(1500 * time.Millisecond)}}
	got, err := json.Marshal(j.View(func(string) string { return "" }))
	const want = `"options":{"format":["flac","mp3"],"start":"1.5","normalize":-16},"results"`
	if err != nil || !strings.Contains(string(got), want) {
		t.Errorf("got  %s, %v\nwant %s in it", got, err, want)
	}
}

func TestViewOfADoneJobLinksItsResults(t *testing.T) {
	j := Job{State: Done, Results: []Result{{FID: "f", Name: "a.mp3", Format: "mp3", Bytes: 9, Duration: 1500 * time.Millisecond}}}
	v := j.View(func(fid string) string { return "/download?fid=" + fid })
	want := ResultView{FID: "f", Name: "a.mp3", Format: "mp3", Bytes: 9, DurationSeconds: 1.5, URL: "/download?fid=f"}
	if len(v.Results) != 1 || v.Results[0] != want {
		t.Errorf("results = %+v, want [%+v]", v.Results, want)
	}
}

func TestIDsSortByTime(t *testing.T) {
	last := ""
	for range 1000 {
		id := NewID()
		if id <= last {
			t.Fatalf("%s is not after %s", id, last)
		}
		last = id
	}
}
