package download

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/files"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

const mp3Name = `Füße "東京" 🎬.mp3`

// world is the function over real stores, with one done job of anna's.
type world struct {
	deps    Deps
	url     string
	content []byte
	job     job.Job
	fid     string // the result
	issuer  *token.Issuer
	ended   atomic.Int32 // requests that the function is done with
	ahead   atomic.Int64 // how far the clock of the links is ahead, in nanoseconds
}

func start(t *testing.T, size int) *world {
	t.Helper()
	w := &world{content: make([]byte, size), fid: blob.NewID()}
	_, _ = rand.NewChaCha8([32]byte{1}).Read(w.content)
	l, err := ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	blobs, err := files.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if w.issuer, err = token.NewIssuer(key, token.Options{Issuer: "i", Audience: "a"}); err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	w.deps = Deps{
		Ledger: l, Blobs: blobs, Links: token.NewLinks(make([]byte, 32), clock),
		Verifier: token.NewVerifier(w.issuer.KeySet(), "i", "a", nil), Stall: 300 * time.Millisecond,
	}
	w.job = w.done(t)
	inner := New(w.deps)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer w.ended.Add(1)
		inner.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

// done stores a video and a result and takes a job through its states.
func (w *world) done(t *testing.T) job.Job {
	t.Helper()
	video := blob.NewID()
	for bucket, id := range map[blob.Bucket]string{blob.Videos: video, blob.Audio: w.fid} {
		if _, err := w.deps.Blobs.Put(t.Context(), bucket, id, bytes.NewReader(w.content)); err != nil {
			t.Fatal(err)
		}
	}
	j, err := w.deps.Ledger.CreateJob(t.Context(), job.Job{ID: job.NewID(), Owner: "anna", Name: "a.mp4", Source: video})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.deps.Ledger.Claim(t.Context(), j.ID, "holder", time.Minute); err != nil {
		t.Fatal(err)
	}
	j, err = w.deps.Ledger.Complete(t.Context(), j.ID, "holder", []job.Result{{
		FID: w.fid, Name: mp3Name, Format: "mp3", Bytes: int64(len(w.content)), Duration: time.Second,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// as makes the Authorization header of a user.
func (w *world) as(t *testing.T, user string, admin bool) http.Header {
	t.Helper()
	raw, _, err := w.issuer.Issue(user, user+"@example.com", admin)
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Authorization": {"Bearer " + raw}}
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
