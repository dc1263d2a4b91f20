package ledger

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/clock"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

const lease = 30 * time.Second

func TestMain(m *testing.M) {
	if helper := os.Getenv(helperVariable); helper != "" {
		os.Exit(runHelper(helper))
	}
	os.Exit(servers.Run(m))
}

// databases are what everything here is tested on: each gives the address of
// an empty one.
var databases = map[string]func(*testing.T) string{
	"sqlite": func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "a ledger?#%.db") },
	"mysql":  func(t *testing.T) string { return servers.MySQL(t) },
}

// each runs a test on an empty ledger of either database, with a clock.
func each(t *testing.T, test func(*testing.T, *Ledger, *clock.Clock)) {
	t.Helper()
	for name, address := range databases {
		t.Run(name, func(t *testing.T) {
			l, c := openAt(t, address(t))
			test(t, l, c)
		})
	}
}

// openAt opens the ledger at the address for the time of the test.
func openAt(t *testing.T, address string) (*Ledger, *clock.Clock) {
	t.Helper()
	l, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	c := clock.New(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC))
	l.Now = c.Now
	return l, c
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newJob is one that is not stored yet; its name has characters of all
// lengths in UTF-8.
func newJob(owner string) job.Job {
	return job.Job{ID: job.NewID(), Owner: owner, Name: "Füße 🎬.mp4", Source: blob.NewID(), Bytes: 42, Trace: "00-trace"}
}

func create(t *testing.T, l *Ledger, owner string) job.Job {
	t.Helper()
	j, err := l.CreateJob(t.Context(), newJob(owner))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func results() []job.Result {
	return []job.Result{{FID: blob.NewID(), Name: "Füße 🎬.mp3", Format: "mp3", Bytes: 7, Duration: 1234 * time.Millisecond}}
}

func wantKind(t *testing.T, err error, kind fail.Kind) {
	t.Helper()
	if !fail.Is(err, kind) {
		t.Fatalf("error %v, want kind %v", err, kind)
	}
}
