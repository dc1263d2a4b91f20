package gridfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// within fails the test if do takes longer.
func within(t *testing.T, limit time.Duration, what string, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if took := time.Since(start); took > limit {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
}

// everything calls each operation and returns their errors.
func everything(t *testing.T, s *Store, id string) map[string]error {
	t.Helper()
	ctx := t.Context()
	errs := map[string]error{"Ready": s.Ready(ctx), "Sweep": s.Sweep(ctx), "Delete": s.Delete(ctx, blob.Audio, id)}
	_, errs["Put"] = s.Put(ctx, blob.Videos, blob.NewID(), bytes.NewReader([]byte("x")))
	_, errs["Open"] = s.Open(ctx, blob.Videos, id)
	for _, err := range s.List(ctx, blob.Videos) {
		errs["List"] = err
	}
	return errs
}

// recover waits until the store is ready by itself.
func recover(t *testing.T, s *Store) {
	t.Helper()
	until(t, "ready again", func() bool { return s.Ready(t.Context()) == nil })
}

func TestAServerThatIsAwayOrHangsIsUnavailableUntilItIsBack(t *testing.T) {
	server := servers.StartMongo(t)
	server.Kill()
	s := store(t, server.URL()+"?serverSelectionTimeoutMS=300&connectTimeoutMS=500&timeoutMS=3000&heartbeatFrequencyMS=500", Options{})
	id := blob.NewID()
	unavailable := func(when string, limit time.Duration) {
		t.Helper()
		within(t, limit, when, func() {
			for operation, err := range everything(t, s, id) {
				if !fail.Is(err, fail.Unavailable) {
					t.Errorf("%s: %s: %v, want unavailable", when, operation, err)
				}
			}
		})
	}
	unavailable("before its server was there", 10*time.Second)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	recover(t, s)
	p := content(8 * chunkSize)
	if _, err := s.Put(t.Context(), blob.Videos, id, bytes.NewReader(p)); err != nil {
		t.Fatal(err)
	}
	r := open(t, s, id)
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}

	server.Pause()
	until(t, "the server hangs", func() bool { return s.Ready(t.Context()) != nil })
	unavailable("while its server hangs", 90*time.Second)
	within(t, 20*time.Second, "a read while its server hangs", func() {
		if _, err := io.Copy(io.Discard, r); !fail.Is(err, fail.Unavailable) {
			t.Errorf("read: %v, want unavailable", err)
		}
	})
	within(t, 5*time.Second, "Close while its server hangs", func() { _ = r.Close() })
	server.Resume()
	recover(t, s)
	wantContent(t, s, id, p)
	swept(t, store(t, server.URL(), Options{Abandoned: time.Millisecond}))
	wantContent(t, s, id, p)
}

func TestAReadGoesOnAfterItsServerWasRestarted(t *testing.T) {
	server := servers.StartMongo(t)
	s := store(t, server.URL(), Options{})
	p := content(30 * chunkSize)
	id := put(t, s, p)
	r := open(t, s, id)
	got := make([]byte, 4*chunkSize)
	for range 2 {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, got); err != nil {
			t.Fatal(err)
		}
		server.Kill()
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(append(bytes.Clone(got), rest...), p) {
			t.Fatalf("read %d bytes more, error %v", len(rest), err)
		}
	}
}

func TestAPutWhoseServerIsKilledLeavesNothingThatSweepDoesNotClear(t *testing.T) {
	server := servers.StartMongo(t)
	s := store(t, server.URL()+"?serverSelectionTimeoutMS=500", Options{})
	kept := put(t, s, content(100))
	p := content(batchChunks * chunkSize)
	killed := 0
	source := readerFunc(func(b []byte) (int, error) {
		if killed++; killed == 2*batchChunks+1 { // a batch is there, another may be on its way
			server.Kill()
		}
		return copy(b, p[:chunkSize]), nil // for ever
	})
	id := blob.NewID()
	within(t, 20*time.Second, "Put", func() {
		if _, err := s.Put(t.Context(), blob.Videos, id, source); !fail.Is(err, fail.Unavailable) {
			t.Errorf("Put: %v, want unavailable", err)
		}
	})
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	recover(t, s)
	if got := count(t, s); got.files != 1 || got.chunks <= 1 || got.intents != 1 {
		t.Fatalf("%+v left by the Put: the test proves nothing", got)
	}
	if _, err := s.Open(t.Context(), blob.Videos, id); !fail.Is(err, fail.NotFound) {
		t.Errorf("Open: %v, want not found", err)
	}
	swept(t, store(t, server.URL(), Options{Abandoned: time.Millisecond}))
	if got := count(t, s); got != (counts{1, 1, 0}) {
		t.Errorf("%+v after the sweep, want only the other blob", got)
	}
	wantContent(t, s, kept, content(100))
}

// Whoever leaves does not wait for a server that hangs.
func TestACancelledPutEndsThoughItsServerHangs(t *testing.T) {
	server := servers.StartMongo(t)
	s := store(t, server.URL(), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	source := readerFunc(func(p []byte) (int, error) {
		if n++; n == batchChunks+1 {
			server.Pause()
			cancel()
		}
		return len(p), nil
	})
	within(t, 3*grace+undoTime, "Put", func() {
		if _, err := s.Put(ctx, blob.Videos, blob.NewID(), source); !errors.Is(err, context.Canceled) {
			t.Errorf("Put: %v, want context canceled", err)
		}
	})
	server.Resume()
	recover(t, s)
	swept(t, store(t, server.URL(), Options{Abandoned: time.Millisecond}))
	if got := count(t, s); got != (counts{}) {
		t.Errorf("%+v left", got)
	}
}

func TestABadURLIsInvalidAndNotRepeated(t *testing.T) {
	for _, address := range []string{
		"", "file:blobs", "mongodb:", "http://user:secret@host/db",
		"mongodb://user:secret@host:port/db", "mongodb://user:secret@/db", "mongodb://user:se@cret@host/db",
		"mongodb://user:secret@host/a b", "mongodb://user:secret@host/%zz", "mongodb://user:secret@host/a.b",
		"mongodb://user:secret@host/db?connectTimeoutMS=soon", "mongodb://user:secret@host/db?tls=maybe",
		"mongodb+srv://user:secret@host.example.com:27017/db", "mongodb+srv://user:secret@a.example.com,b.example.com/db",
		"mongodb+srv://user:secret@/db", "mongodb+srv://user:secret@a.example.com/db?connectTimeoutMS=soon",
	} {
		s, err := Open(address, Options{})
		if !fail.Is(err, fail.Invalid) {
			t.Errorf("Open(%q) = %v, %v; want invalid", address, s, err)
		}
		if err != nil && strings.Contains(err.Error()+fail.Detail(err), "secret") {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
}

func TestAURLMayNameSeveralHostsAndNoDatabase(t *testing.T) {
	for address, want := range map[string]string{
		"mongodb://host": "alchemist",
		"mongodb://user:secret@a:27017,b:27018,c/blobs?replicaSet=rs0":          "blobs",
		"mongodb://host/?w=1&readPreference=nearest":                            "alchemist",
		"mongodb+srv://user:secret@db.example.com/blobs?srvMaxHosts=3&tls=true": "blobs",
		"mongodb+srv://db.example.com":                                          "alchemist",
	} {
		s, err := Open(address, Options{})
		if err != nil {
			t.Errorf("Open(%q): %v", address, err)
			continue
		}
		if s.database != want {
			t.Errorf("Open(%q): database %q, want %q", address, s.database, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A command may take no longer than the rest of the time in which nobody else
// takes over what it belongs to.
func TestTheURLBoundsCommandsWithinWhatSweepLeavesThem(t *testing.T) {
	for name, test := range map[string]struct {
		address   string
		abandoned time.Duration
		want      time.Duration // zero: it is refused
		found     string
	}{
		"nothing said":                 {"mongodb://user:secret@host/db", 0, tripTime, ""},
		"no bound":                     {"mongodb://user:secret@host/db?timeoutMS=0", 0, tripTime, ""},
		"short":                        {"mongodb://user:secret@host/db?timeoutMS=3000", 0, 3 * time.Second, ""},
		"the longest":                  {"mongodb://user:secret@host/db?timeoutMS=60000", 0, time.Minute, ""},
		"too long":                     {"mongodb://user:secret@host/db?timeoutMS=60001", 0, 0, "timeoutMS: want at most 60000, found 60001"},
		"too long in capitals":         {"mongodb://user:secret@host/db?tls=true&TIMEOUTMS=600000", 0, 0, "timeoutMS: want at most 60000, found 600000"},
		"long, where Sweep waits":      {"mongodb://user:secret@host/db?timeoutMS=1200000", 2 * time.Hour, 20 * time.Minute, ""},
		"too long, though Sweep waits": {"mongodb://user:secret@host/db?timeoutMS=1200000", time.Hour, 0, "timeoutMS: want at most 720000, found 1200000"},
		"short, of servers in DNS":     {"mongodb+srv://user:secret@db.example.com/db?timeoutMS=3000", 0, 3 * time.Second, ""},
		"too long, of servers in DNS":  {"mongodb+srv://user:secret@db.example.com/db?srvMaxHosts=3&timeoutMS=60001", 0, 0, "timeoutMS: want at most 60000, found 60001"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(test.address, Options{Abandoned: test.abandoned})
			if test.want == 0 {
				if !fail.Is(err, fail.Invalid) || fail.Detail(err) != test.found {
					t.Errorf("Open: %v, want %q", err, test.found)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.trip != test.want {
				t.Errorf("a command has %v, want %v", s.trip, test.want)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
