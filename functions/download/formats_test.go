package download

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

func TestEachFormatHasItsTypeAndName(t *testing.T) {
	want := map[options.Format]string{
		options.MP3: "audio/mpeg", options.M4A: "audio/mp4", options.Opus: "audio/ogg",
		options.Ogg: "audio/ogg", options.FLAC: "audio/flac", options.WAV: "audio/wav",
		"midi": "application/octet-stream",
	}
	w := start(t, 10)
	var results []job.Result
	for f := range want {
		results = append(results, job.Result{
			FID: w.Put(t, blob.Audio, "sound as "+string(f)), Name: job.ResultName("Füße.mp4", string(f)), Format: string(f), Duration: time.Second,
		})
	}
	if _, err := w.Ledger.Complete(t.Context(), w.Claimed(t, "anna").ID, fixture.Holder, results); err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Run(r.Format, func(t *testing.T) {
			resp, body := w.do(t, "GET", w.deps.Links.Path(r.FID, time.Hour), http.Header{"Range": {"bytes=6-"}})
			if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(body, []byte("as "+r.Format)) {
				t.Errorf("status %d, %q", resp.StatusCode, body)
			}
			h := resp.Header
			if got := h.Get("Content-Type"); got != want[options.Format(r.Format)] || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("type %q, want %q; %v", got, want[options.Format(r.Format)], h)
			}
			if got := h.Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="F__e.`+r.Format+`"; `) ||
				!strings.HasSuffix(got, "F%C3%BC%C3%9Fe."+r.Format) {
				t.Errorf("disposition %q", got)
			}
		})
	}
}
