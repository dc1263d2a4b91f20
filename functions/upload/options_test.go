package upload

import (
	"context"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

var file = [2]string{"talk.mp4", "not really a video"}

func TestOptionsComeBeforeAndAfterTheFile(t *testing.T) {
	tests := map[string]struct {
		form [][2]string
		want string // of the job, as JSON
	}{
		"none":             {[][2]string{file}, `{}`},
		"before":           {[][2]string{{"=format", "flac,mp3"}, {"=bitrate", "96k"}, file}, `{"format":["flac","mp3"],"bitrate":96000}`},
		"after":            {[][2]string{file, {"=start", "1:02.5"}, {"=end", "90"}}, `{"start":"62.5","end":"90"}`},
		"round it":         {[][2]string{{"=sample_rate", "96000"}, file, {"=format", "wav"}}, `{"format":["wav"],"sample_rate":96000}`},
		"empty":            {[][2]string{{"=title", ""}, {"=track", " "}, file, {"=format", ""}}, `{}`},
		"others ignored":   {[][2]string{{"=colour", "red"}, {"=colour", "blue"}, file, {"=Format", "?"}, {"=note", "x"}}, `{}`},
		"text in any word": {[][2]string{{"=title", "Füße \"東京\" 🎬"}, file}, `{"title":"Füße \"東京\" 🎬"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := start(t, nil)
			ct, body := form(t, tt.form...)
			v := accepted(t, w.post(t, ct, body))
			if got, err := json.Marshal(v.Options); err != nil || string(got) != tt.want {
				t.Errorf("answered %s, %v, want %s", got, err, tt.want)
			}
			if j, err := w.Ledger.Job(t.Context(), v.ID); err != nil || !reflect.DeepEqual(j.Options, v.Options) {
				t.Errorf("the ledger has %+v, %v", j.Options, err)
			}
		})
	}
}

func TestQueryParametersAreNoOptions(t *testing.T) {
	w := start(t, nil)
	w.query = "?format=nonsense"
	ct, body := form(t, file)
	if v := accepted(t, w.post(t, ct, body)); !reflect.DeepEqual(v.Options, options.Options{}) {
		t.Errorf("options %+v", v.Options)
	}
}

// puts counts how often a store was given something.
type puts struct {
	blob.Store
	n *atomic.Int32
}

func (s puts) Put(ctx context.Context, b blob.Bucket, id string, r io.Reader) (blob.Info, error) {
	s.n.Add(1)
	return s.Store.Put(ctx, b, id, r)
}

func TestABadOptionLeavesNothing(t *testing.T) {
	tests := map[string]struct {
		form [][2]string
		want string // of the reason
		puts int32  // 0 where the file does not even reach the store
	}{
		"before the file": {[][2]string{{"=format", "mp4"}, file},
			`The field format takes one or more of mp3, m4a, opus, ogg, flac and wav, separated by commas, none twice; it was \"mp4\".`, 0},
		"after the file":        {[][2]string{file, {"=normalize", "-5"}}, `The field normalize takes -23 to -9 (LUFS)`, 1},
		"two that exclude":      {[][2]string{{"=bitrate", "64k"}, {"=quality", "v2"}, file}, `The fields bitrate and quality exclude each other`, 0},
		"two, one on each side": {[][2]string{{"=bitrate", "64k"}, file, {"=quality", "v2"}}, `The fields bitrate and quality exclude each other`, 1},
		"one that needs more":   {[][2]string{{"=sample_rate", "96000"}, file, {"=note", "x"}}, `The field sample_rate takes for mp3`, 1},
		"twice":                 {[][2]string{{"=title", "a"}, {"=title", "b"}, file}, `The form has the field title more than once; send it once.`, 0},
		"twice, once empty":     {[][2]string{{"=title", ""}, file, {"=title", "b"}}, `The form has the field title more than once; send it once.`, 1},
		"too long":              {[][2]string{file, {"=comment", strings.Repeat("x", overhead)}}, `The field comment takes at most 1000 characters`, 1},
		"too long with nothing": {[][2]string{{"=comment", strings.Repeat(" ", overhead)}, file}, `The field comment takes at most 1000 characters`, 0},
		"not UTF-8":             {[][2]string{{"=artist", "a\xffb"}, file}, `The field artist takes`, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			w := start(t, func(d *Deps) { d.Blobs = puts{d.Blobs, &n} })
			ct, body := form(t, tt.form...)
			resp := w.post(t, ct, body)
			answer, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != 400 || !strings.Contains(string(answer), tt.want) {
				t.Errorf("%d %s, %v\nwant 400 %s", resp.StatusCode, answer, err, tt.want)
			}
			if blobs, jobs := w.left(t); blobs != 0 || jobs != 0 || len(w.Broker.Events()) != 0 || n.Load() != tt.puts {
				t.Errorf("left: %d blobs, %d jobs, %d events, after %d writes", blobs, jobs, len(w.Broker.Events()), n.Load())
			}
		})
	}
}
