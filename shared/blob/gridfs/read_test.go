package gridfs

import (
	"context"
	"io"
	"runtime"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// replies adds up what the server sends of chunks.
type replies struct {
	mu       sync.Mutex
	commands []string
	bytes    int
	largest  int
}

func (r *replies) monitor() *event.CommandMonitor {
	return &event.CommandMonitor{Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) {
		if e.CommandName != "find" && e.CommandName != "getMore" && e.CommandName != "killCursors" {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.commands = append(r.commands, e.CommandName)
		r.bytes += len(e.Reply)
		r.largest = max(r.largest, len(e.Reply))
	}}
}

// take returns what has come since the last call.
func (r *replies) take() (commands, size, largest int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	commands, size, largest = len(r.commands), r.bytes, r.largest
	r.commands, r.bytes, r.largest = nil, 0, 0
	return commands, size, largest
}

func TestAReadAsksOnlyForWhatItNeeds(t *testing.T) {
	var seen replies
	s := store(t, servers.Mongo(t), Options{monitor: seen.monitor()})
	const slack = 4096 // of each reply round its chunks
	id := put(t, s, content(40*chunkSize))
	seen.take()
	r := open(t, s, id)
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil || size != 40*chunkSize {
		t.Fatal(size, err)
	}
	if commands, n, _ := seen.take(); commands != 1 || n > slack {
		t.Errorf("%d commands, %d bytes to open and to learn the size; want the document alone", commands, n)
	}
	for _, at := range []int64{0, 20*chunkSize + 5, 39 * chunkSize} {
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Seek(at+chunkSize/2, io.SeekStart); err != nil { // within what came
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		// One find, and the end of the cursor before it.
		if commands, n, _ := seen.take(); commands > 2 || n > firstChunks*chunkSize+2*slack {
			t.Errorf("%d commands, %d bytes for a little at %d; want at most %d chunks", commands, n, at, firstChunks)
		}
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); n != size || err != nil {
		t.Fatal(n, err)
	}
	commands, n, largest := seen.take()
	if n > int(size)+20*slack || commands > 9 {
		t.Errorf("%d commands, %d bytes to read all of %d", commands, n, size)
	}
	if largest > pieceBytes+slack {
		t.Errorf("a reply of %d bytes, want at most %d", largest, pieceBytes)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	// MongoDB ends the cursor by itself; not every server does.
	if commands, n, _ := seen.take(); commands > 1 || n > slack {
		t.Errorf("%d commands, %d bytes to close a reader at its end", commands, n)
	}
}

func TestALargeBlobNeedsLittleMemoryBothWays(t *testing.T) {
	const size, allowed = 96 << 20, 16 << 20
	s := store(t, servers.Mongo(t), Options{})
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	inUse := func() uint64 {
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	base, peak, done := inUse(), uint64(0), 0
	watch := func(n int) {
		if done/(8<<20) != (done+n)/(8<<20) {
			peak = max(peak, inUse())
		}
		done += n
	}
	id := blob.NewID()
	source := io.LimitReader(readerFunc(func(p []byte) (int, error) { watch(len(p)); return len(p), nil }), size)
	if _, err := s.Put(t.Context(), blob.Videos, id, source); err != nil {
		t.Fatal(err)
	}
	if peak > base+allowed {
		t.Errorf("%d bytes more in use during a Put of %d bytes, want at most %d", peak-base, size, allowed)
	}
	peak, done = 0, 0
	n, err := io.Copy(writerFunc(func(p []byte) (int, error) { watch(len(p)); return len(p), nil }), open(t, s, id))
	if n != size || err != nil {
		t.Fatal(n, err)
	}
	if peak > base+allowed {
		t.Errorf("%d bytes more in use while %d bytes were read, want at most %d", peak-base, size, allowed)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
