package convert

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/media"
)

// world is real stores, the real ffmpeg, and a store that fails on demand.
type world struct {
	*fixture.Stores
	blobs *faultyStore
	deps  Deps
	work  string
}

func start(t *testing.T) *world {
	t.Helper()
	tools, err := media.Find("", "")
	if err != nil {
		t.Fatal(err)
	}
	stores := fixture.New(t)
	w := &world{Stores: stores, work: filepath.Join(t.TempDir(), "work")}
	w.blobs = &faultyStore{Store: stores.Blobs}
	w.deps = Deps{Ledger: w.Ledger, Blobs: w.blobs, Media: tools, WorkDir: w.work}
	return w
}

// job stores content as the video of a new, published job.
func (w *world) job(t *testing.T, content []byte) job.Job {
	t.Helper()
	j, err := w.Ledger.CreateJob(t.Context(), job.Job{
		ID: job.NewID(), Owner: "owner", Name: "Füße.mp4", Source: w.Put(t, blob.Videos, string(content)), Bytes: int64(len(content)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Ledger.Queued(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	return j
}

// deliver hands the job's event over as a broker does.
func (w *world) deliver(ctx context.Context, t *testing.T, j job.Job) (int, *cloudevents.Event) {
	t.Helper()
	return fixture.Deliver(ctx, t, New(w.deps), ledger.UploadedEvent(j))
}

// read returns the job as the ledger has it.
func (w *world) read(t *testing.T, id string) job.Job {
	t.Helper()
	j, err := w.Ledger.Job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// clean fails the test if a temporary file or more blobs than wanted are left.
func (w *world) clean(t *testing.T, audio int) {
	t.Helper()
	if left, err := os.ReadDir(w.work); len(left) != 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left in the work folder: %v, %v", left, err)
	}
	if n := w.Count(t, blob.Audio); n != audio {
		t.Errorf("%d audio blobs, want %d", n, audio)
	}
}

// hang makes ffmpeg a program that writes its process id and never ends; the
// returned function waits until it runs, and gives the id.
func (w *world) hang(t *testing.T) func() int {
	t.Helper()
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	w.deps.Media.Bare = true // a script
	w.deps.Media.FFmpeg = filepath.Join(dir, "ffmpeg")
	body := "#!/bin/sh\nsleep 300 &\necho $! >" + pid + ".new\nmv " + pid + ".new " + pid + "\nwait\n"
	if err := os.WriteFile(w.deps.Media.FFmpeg, []byte(body), 0o700); err != nil {
		t.Fatal(err)
	}
	return func() int {
		var n int
		within(t, 10*time.Second, func() bool { n = readPID(pid); return n > 0 })
		return n
	}
}

// faultyStore is a store whose next Puts can fail, and whose files can be
// hidden, as those of a store that is elsewhere.
type faultyStore struct {
	blob.Store
	failPuts  atomic.Int32
	remote    bool
	onRead    func(read int64) error // of a remote video, with how much was read of it before
	beforePut func()
	onOpen    func(blob.Bucket) error
	instead   string // id of the audio that is opened instead of any other
}

func (s *faultyStore) Put(ctx context.Context, b blob.Bucket, id string, r io.Reader) (blob.Info, error) {
	if s.beforePut != nil {
		s.beforePut()
	}
	if s.failPuts.Add(-1) >= 0 {
		return blob.Info{}, fail.New(fail.Unavailable, "The disk is full.")
	}
	return s.Store.Put(ctx, b, id, r)
}

func (s *faultyStore) Open(ctx context.Context, b blob.Bucket, id string) (blob.Reader, error) {
	if s.onOpen != nil {
		if err := s.onOpen(b); err != nil {
			return nil, err
		}
	}
	if b == blob.Audio && s.instead != "" {
		id = s.instead
	}
	r, err := s.Store.Open(ctx, b, id)
	if s.remote && err == nil {
		return &remoteReader{Reader: r, onRead: s.onRead}, nil // no blob.Local
	}
	return r, err
}

type remoteReader struct {
	blob.Reader
	read   int64
	onRead func(int64) error
}

func (r *remoteReader) Read(p []byte) (int, error) {
	if r.onRead != nil {
		if err := r.onRead(r.read); err != nil {
			return 0, err
		}
	}
	n, err := r.Reader.Read(p)
	r.read += int64(n)
	return n, err
}

var (
	videosMu sync.Mutex
	videos   = map[string][]byte{}
)

// video makes a file with ffmpeg, once for the whole run.
func video(t *testing.T, name, args string) []byte {
	t.Helper()
	videosMu.Lock()
	defer videosMu.Unlock()
	if b, ok := videos[name+args]; ok {
		return b
	}
	path := filepath.Join(t.TempDir(), name)
	all := append(strings.Fields("-hide_banner -loglevel error -nostdin "+args), path)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", all...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	videos[name+args] = b
	return b
}

func talk(t *testing.T) []byte {
	t.Helper()
	return video(t, "talk.mp4", "-f lavfi -i testsrc=size=160x120:duration=3 -f lavfi -i sine=duration=3 -c:v libx264 -preset ultrafast -c:a aac")
}

func wantStatus(t *testing.T, got, want int) {
	t.Helper()
	if got != want {
		t.Fatalf("status %d (%s), want %d", got, http.StatusText(got), want)
	}
}

func within(t *testing.T, d time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not so after %v", d)
		}
	}
}
