package gridfs

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func TestAKilledPutLeavesNothingThatSweepDoesNotClear(t *testing.T) {
	address := servers.Mongo(t)
	patient, hasty := store(t, address, Options{}), store(t, address, Options{Abandoned: time.Second})
	kept := put(t, patient, content(10))
	id := blob.NewID()
	cmd := exec.CommandContext(t.Context(), os.Args[0], id)
	cmd.Env = append(os.Environ(), childEnv+"="+address)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(content(batchChunks*chunkSize + 100)); err != nil {
		t.Fatal(err)
	}
	until(t, "a batch of the child's", func() bool { return count(t, patient).chunks == 1+batchChunks })
	if err := patient.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := count(t, patient); got != (counts{1, 1 + batchChunks, 1}) {
		t.Errorf("%+v after a sweep during the Put of another process: it was touched", got)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if got := count(t, patient); got != (counts{1, 1 + batchChunks, 1}) {
		t.Fatalf("%+v left by a killed process: the test proves nothing", got)
	}
	if _, err := patient.Open(t.Context(), blob.Videos, id); !fail.Is(err, fail.NotFound) {
		t.Errorf("Open: %v, want not found", err)
	}
	swept(t, hasty)
	if got := count(t, patient); got != (counts{1, 1, 0}) {
		t.Errorf("%+v after the sweep, want only the other blob", got)
	}
	wantContent(t, patient, kept, content(10))
}

// A source may be slow for longer than Sweep waits.
func TestASlowPutIsNotSwept(t *testing.T) {
	s := store(t, servers.Mongo(t), Options{Abandoned: 2 * time.Second})
	p := content(chunkSize + 7)
	source, feed := io.Pipe()
	id, done := blob.NewID(), make(chan error, 1)
	go func() {
		_, err := s.Put(t.Context(), blob.Videos, id, source)
		done <- err
	}()
	_, _ = feed.Write(p[:100])
	intent := func() (i intent) {
		_ = intents(database(t, s)).FindOne(t.Context(), bson.D{}).Decode(&i)
		return i
	}
	first := intent()
	until(t, "the Put lasts longer than Sweep waits", func() bool {
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return intent().Seen.Time().Sub(first.Seen.Time()) > 3*time.Second
	})
	_, _ = feed.Write(p[100:])
	_ = feed.Close()
	if err := <-done; err != nil {
		t.Fatalf("Put: %v", err)
	}
	wantContent(t, s, id, p)
	if got := count(t, s); got != (counts{1, 2, 0}) {
		t.Errorf("%+v, want one blob of two chunks", got)
	}
}

// Whose intent was taken must not make anything visible.
func TestAPutThatWasSweptFails(t *testing.T) {
	for name, test := range map[string]struct {
		abandoned time.Duration
		when      func(sweep func()) io.Reader
	}{
		"and learns it from its heartbeat": {500 * time.Millisecond, func(sweep func()) io.Reader {
			first := true
			return readerFunc(func(p []byte) (int, error) {
				if first {
					sweep()
				}
				first = false
				return copy(p, "more"), nil // for ever
			})
		}},
		"and learns it at the end": {time.Hour, func(sweep func()) io.Reader {
			return readerFunc(func(p []byte) (int, error) {
				sweep()
				return copy(p, "all there is"), io.EOF
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			address := servers.Mongo(t)
			s, other := store(t, address, Options{Abandoned: test.abandoned}), store(t, address, Options{Abandoned: time.Nanosecond})
			sweep := func() {
				if err := other.Sweep(t.Context()); err != nil {
					t.Errorf("Sweep: %v", err)
				}
			}
			id := blob.NewID()
			_, err := s.Put(t.Context(), blob.Videos, id, test.when(sweep))
			if !fail.Is(err, fail.Unavailable) || !errors.Is(err, errTaken) {
				t.Errorf("Put: %v, want that it was swept", err)
			}
			swept(t, other)
			if got := count(t, s); got != (counts{}) {
				t.Errorf("%+v left", got)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestSweepFinishesADeleteAndSweepsMayMeet(t *testing.T) {
	address := servers.Mongo(t)
	s := store(t, address, Options{})
	gone, kept := put(t, s, content(3*chunkSize)), put(t, s, content(20))
	b, err := s.use(t.Context(), blob.Videos, gone)
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.find(t.Context(), b, gone)
	if err != nil {
		t.Fatal(err)
	}
	// A Delete that ended after its first two steps.
	if err := s.note(t.Context(), database(t, s), intent{ID: bson.NewObjectID(), Bucket: blob.Videos, Blob: gone, Put: f.Metadata.Put}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.files.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: gone}}); err != nil {
		t.Fatal(err)
	}
	hasty := store(t, address, Options{Abandoned: time.Millisecond})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := hasty.Sweep(t.Context()); err != nil {
				t.Errorf("Sweep: %v", err)
			}
		})
	}
	all.Wait()
	swept(t, hasty)
	if got := count(t, s); got != (counts{1, 1, 0}) {
		t.Errorf("%+v after the sweeps, want only the other blob", got)
	}
	wantContent(t, s, kept, content(20))
}
