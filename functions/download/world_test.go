package download

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

const mp3Name = `Füße "東京" 🎬.mp3`

// world is the function over real stores, with one done job of anna's.
type world struct {
	*fixture.Stores
	deps    Deps
	url     string
	content []byte
	job     job.Job
	fid     string       // the result
	ahead   atomic.Int64 // how far the clock of the links is ahead, in nanoseconds
}

func start(t *testing.T, size int) *world {
	t.Helper()
	w := &world{Stores: fixture.New(t), content: make([]byte, size)}
	_, _ = rand.NewChaCha8([32]byte{1}).Read(w.content)
	clock := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	w.deps = Deps{
		Ledger: w.Ledger, Blobs: w.Blobs, Links: token.NewLinks(make([]byte, 32), clock),
		Verifier: w.Verifier,
	}
	w.fid = w.Put(t, blob.Audio, string(w.content))
	claimed := w.Claimed(t, "anna")
	var err error
	if w.job, err = w.Ledger.Complete(t.Context(), claimed.ID, fixture.Holder, []job.Result{{
		FID: w.fid, Name: mp3Name, Format: "mp3", Bytes: int64(size), Duration: time.Second,
	}}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(New(w.deps))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

// as makes the Authorization header of a user.
func (w *world) as(t *testing.T, user string, admin bool) http.Header {
	t.Helper()
	return http.Header{"Authorization": {w.Bearer(t, user, admin)}}
}

// do sends a request and returns the answer with its whole body.
func (w *world) do(t *testing.T, method, path string, header http.Header) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}
