package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vbauerster/mpb/v8"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

func TestEveryErrorHasItsCodeAndOneLine(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		code int
		says string
	}{
		"none":            {nil, 0, ""},
		"anything":        {errors.New("broken"), 1, "broken"},
		"in conflict":     {fail.New(fail.Exists, "There is one."), 1, "There is one."},
		"usage":           {&failure{exitUsage, "no"}, 2, "no"},
		"not logged in":   {fail.New(fail.Unauthorized, "It has expired."), 3, "kn alchemist login"},
		"not allowed":     {fail.New(fail.Forbidden, "No."), 3, "kn alchemist login"},
		"nothing there":   {fail.New(fail.NotFound, "None."), 4, "None."},
		"not converted":   {&failure{exitConversion, "no sound"}, 5, "no sound"},
		"no answer":       {fail.New(fail.Unavailable, "Away."), 6, "--url"},
		"interrupted":     {fmt.Errorf("wait: %w", context.Canceled), 130, "interrupted"},
		"several lines":   {errors.New("a\n\nb"), 1, "a b"},
		"unknown command": {errors.New("unknown command \"x\" for \"y\"\n\nDid you mean this?"), 2, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			code := (&app{err: &b}).finish(tt.err)
			if code != tt.code || !strings.Contains(b.String(), tt.says) || strings.Count(b.String(), "\n") != min(len(tt.says), 1) {
				t.Errorf("code %d, %q", code, b.String())
			}
		})
	}
}

func TestPlan(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a.mp4", "b.mp4", "song.mp3", "there.mp3", "other/a.mp4"} {
		if err := os.MkdirAll(filepath.Dir(in(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(in(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mp3, two := []options.Format{"mp3"}, []options.Format{"mp3", "opus"}
	for name, tt := range map[string]struct {
		files   []string
		out     string
		formats []options.Format
		force   bool
		want    string // where results go, or what the error says
	}{
		"into a folder":          {[]string{"a.mp4", "b.mp4"}, "", two, false, "a.mp3 a.opus b.mp3 b.opus"},
		"into a new folder":      {[]string{"a.mp4"}, "new/", mp3, false, "new/a.mp3"},
		"several to a new one":   {[]string{"a.mp4"}, "both", two, false, "both/a.mp3 both/a.opus"},
		"to a file":              {[]string{"a.mp4"}, "x.mp3", mp3, false, "x.mp3"},
		"several to a file":      {[]string{"a.mp4"}, "there.mp3", two, false, "is a file"},
		"to one that is there":   {[]string{"a.mp4"}, "there.mp3", mp3, false, "is there already"},
		"over it":                {[]string{"a.mp4"}, "there.mp3", mp3, true, "there.mp3"},
		"over itself":            {[]string{"song.mp3"}, "", mp3, true, "is there already"},
		"over a folder":          {[]string{"a.mp4"}, "other/a.mp4", mp3, false, "is there already"},
		"two of the same name":   {[]string{"a.mp4", "other/a.mp4"}, "", mp3, false, "would both become"},
		"what is not there":      {[]string{"none.mp4"}, "", mp3, false, "is no file"},
		"what is no file at all": {[]string{"other"}, "", mp3, false, "is no file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(dir)
			tasks, err := plan(tt.files, tt.out, tt.formats, tt.force)
			var to []string
			for _, task := range tasks {
				for _, f := range tt.formats {
					to = append(to, task.to[string(f)])
				}
			}
			if got := strings.Join(to, " "); got != tt.want && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestWithoutATerminalThereAreLines(t *testing.T) {
	var b bytes.Buffer
	for _, quiet := range []bool{false, true} {
		all := newBars(&b, quiet)
		bar := all.bytes("a.mp4", "upload", 10)
		bar.set(5)
		bar.end()
		all.line("a.mp4: uploaded as job %s", "7\x1b[2J")
		all.wait()
	}
	if b.String() != "a.mp4: uploaded as job 7 [2J\n" {
		t.Errorf("got %q", b.String())
	}
}

func TestBarsGoWhenTheyEnd(t *testing.T) {
	all := &bars{out: io.Discard}
	var b bytes.Buffer
	all.group = mpb.New(mpb.WithOutput(&b), mpb.WithAutoRefresh())
	half, whole := all.bytes("a.mp4", "upload", 10), all.percent(strings.Repeat("long", 20)+".mp4", "convert")
	half.set(5)
	whole.set(100)
	half.end()
	whole.end()
	all.line("b.mp4: uploaded")
	all.wait() // a bar that stayed would be waited for
	if !strings.Contains(b.String(), "b.mp4: uploaded\n") {
		t.Errorf("got %q", b.String())
	}
}
