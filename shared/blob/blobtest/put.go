package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func testRoundTrip(t *testing.T, s blob.Store) {
	for _, size := range []int{1, 4095, 255 << 10, 256 << 10, 256<<10 + 1, 3<<20 + 7} {
		p := content(size, size)
		wantContent(t, s, blob.Videos, put(t, s, blob.Videos, p).ID, p)
	}
	p := content(300<<10, 9)
	id := blob.NewID()
	if _, err := s.Put(t.Context(), blob.Videos, id, iotest.OneByteReader(bytes.NewReader(p))); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, blob.Videos, id, p)
	id = blob.NewID()
	if _, err := s.Put(t.Context(), blob.Videos, id, iotest.DataErrReader(bytes.NewReader(p))); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, blob.Videos, id, p)
}

func testEmpty(t *testing.T, s blob.Store) {
	wantContent(t, s, blob.Audio, put(t, s, blob.Audio, nil).ID, nil)
}

// amended learns some of its bytes at its end.
type amended struct {
	io.Reader
	at    int64
	bytes []byte
}

func (a amended) Amend() (int64, []byte) { return a.at, a.bytes }

func testAmended(t *testing.T, s blob.Store) {
	const size = 900<<10 + 5
	for _, part := range [][2]int{{0, 0}, {0, 10}, {100, 417}, {255<<10 - 3, 7}, {200 << 10, 600 << 10}, {size - 1, 1}} {
		p, late := content(size, 1), content(part[1], 2)
		before := bytes.Clone(p)
		copy(p[part[0]:], late)
		id := blob.NewID()
		if _, err := s.Put(t.Context(), blob.Audio, id, amended{bytes.NewReader(before), int64(part[0]), late}); err != nil {
			t.Fatal(err)
		}
		wantContent(t, s, blob.Audio, id, p)
	}
	for _, at := range []int64{-1, 8, 1 << 40} {
		id := blob.NewID()
		if _, err := s.Put(t.Context(), blob.Audio, id, amended{bytes.NewReader(content(10, 1)), at, content(3, 2)}); !fail.Is(err, fail.Internal) {
			t.Errorf("amended at %d of 10 bytes: %v, want internal", at, err)
		}
		if _, err := s.Open(t.Context(), blob.Audio, id); !fail.Is(err, fail.NotFound) {
			t.Errorf("after that: %v, want not found", err)
		}
	}
}

func testInfo(t *testing.T, s blob.Store) {
	const slack = time.Second // stores keep times less finely than clocks
	before := time.Now().Add(-slack)
	info := put(t, s, blob.Audio, []byte("abc"))
	if info.Created.Before(before) || info.Created.After(time.Now().Add(slack)) || info.Created.Location() != time.UTC {
		t.Errorf("created %v, want about now, in UTC", info.Created)
	}
	if got := open(t, s, blob.Audio, info.ID).Info(); got != info {
		t.Errorf("the reader says %+v, Put said %+v", got, info)
	}
	if got := list(t, s, blob.Audio); len(got) != 1 || got[0] != info {
		t.Errorf("List says %+v, Put said %+v", got, info)
	}
}

func testExists(t *testing.T, s blob.Store) {
	first := []byte("first")
	id := put(t, s, blob.Videos, first).ID
	if _, err := s.Put(t.Context(), blob.Videos, id, bytes.NewReader([]byte("other"))); !fail.Is(err, fail.Exists) {
		t.Errorf("second Put: %v, want exists", err)
	}
	wantContent(t, s, blob.Videos, id, first)
}

func testConcurrentSameID(t *testing.T, s blob.Store) {
	const writers = 8
	id := blob.NewID()
	var won atomic.Int64
	var winner []byte
	var wg, ready sync.WaitGroup
	ready.Add(writers)
	for i := range writers {
		wg.Go(func() {
			p := content(300<<10, i)
			// All have begun before any of them can end.
			src := &source{pieces: [][]byte{p[:1000], p[1000:]}, err: io.EOF, before: func(piece int) {
				if piece == 0 {
					ready.Done()
					ready.Wait()
				}
			}}
			_, err := s.Put(t.Context(), blob.Videos, id, src)
			if err == nil {
				won.Add(1)
				winner = p
			} else if !fail.Is(err, fail.Exists) {
				t.Errorf("Put: %v, want exists", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d puts of one id succeeded, want 1", won.Load())
	}
	wantContent(t, s, blob.Videos, id, winner)
}

func testConcurrentPuts(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			p := content(500<<10+i, i)
			id := blob.NewID()
			if _, err := s.Put(t.Context(), blob.Videos, id, bytes.NewReader(p)); err != nil {
				t.Errorf("Put: %v", err)
				return
			}
			r, err := s.Open(t.Context(), blob.Videos, id)
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			defer func() { _ = r.Close() }()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, p) {
				t.Errorf("read %d bytes, error %v; want the %d bytes that were put", len(got), err, len(p))
			}
		})
	}
	wg.Wait()
	if n := len(list(t, s, blob.Videos)); n != 16 {
		t.Errorf("%d blobs, want 16", n)
	}
}

func testBuckets(t *testing.T, s blob.Store) {
	id := put(t, s, blob.Videos, []byte("video")).ID
	if _, err := s.Open(t.Context(), blob.Audio, id); !fail.Is(err, fail.NotFound) {
		t.Errorf("Open in the other bucket: %v, want not found", err)
	}
	if _, err := s.Put(t.Context(), blob.Audio, id, bytes.NewReader([]byte("audio"))); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), blob.Audio, id); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, blob.Videos, id, []byte("video"))
}

func testInvisibleUntilDone(t *testing.T, s blob.Store) {
	id := blob.NewID()
	p := content(1<<20, 1)
	look := func(int) {
		if _, err := s.Open(t.Context(), blob.Videos, id); !fail.Is(err, fail.NotFound) {
			t.Errorf("Open during Put: %v, want not found", err)
		}
		if all := list(t, s, blob.Videos); len(all) != 0 {
			t.Errorf("List during Put: %+v", all)
		}
	}
	src := &source{pieces: [][]byte{p[:1], p[1 : 700<<10], p[700<<10:]}, err: io.EOF, before: look}
	if _, err := s.Put(t.Context(), blob.Videos, id, src); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, blob.Videos, id, p)
}

func testSourceError(t *testing.T, s blob.Store) {
	p := content(1<<20, 2)
	for _, sent := range [][][]byte{nil, {p[:10:10]}, {p[: 600<<10 : 600<<10]}} {
		id := blob.NewID()
		src := &source{pieces: sent, err: fail.New(fail.TooLarge, "Too large.")}
		if _, err := s.Put(t.Context(), blob.Videos, id, src); !fail.Is(err, fail.TooLarge) || fail.Detail(err) != "Too large." {
			t.Errorf("Put: %v, want the error of the source", err)
		}
		wantNothing(t, s, id)
	}
}

func testSourceCause(t *testing.T, s blob.Store) {
	id := blob.NewID()
	_, err := s.Put(t.Context(), blob.Videos, id, &source{pieces: [][]byte{{1}}, err: io.ErrUnexpectedEOF})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Put: %v, want the cause in the chain", err)
	}
	wantNothing(t, s, id)
}

func testCancelledPut(t *testing.T, s blob.Store) {
	p := content(2<<20, 3)
	for name, at := range map[string]int{"before the first byte": -1, "in the middle": 1, "before the last piece": 2} {
		id := blob.NewID()
		ctx, cancel := context.WithCancel(t.Context())
		if at < 0 {
			cancel()
		}
		src := &source{pieces: [][]byte{p[: 1<<20 : 1<<20], p[1<<20 : 1500<<10 : 1500<<10], p[1500<<10:]}, err: io.EOF}
		src.before = func(piece int) {
			if piece == at {
				cancel()
			}
		}
		_, err := s.Put(ctx, blob.Videos, id, src)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Put: %v, want context canceled", name, err)
		}
		wantNothing(t, s, id)
	}
}

func testCancelledAtTheEnd(t *testing.T, s blob.Store) {
	id := blob.NewID()
	ctx, cancel := context.WithCancel(t.Context())
	all := readerFunc(func(p []byte) (int, error) {
		cancel()
		return copy(p, "all there is"), io.EOF
	})
	if _, err := s.Put(ctx, blob.Videos, id, all); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v, want context canceled", err)
	}
	wantNothing(t, s, id)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func testMemory(t *testing.T, s blob.Store) {
	const size, allowed = 64 << 20, 24 << 20
	var base, now runtime.MemStats
	var peak uint64
	runtime.GC()
	runtime.ReadMemStats(&base)
	piece := content(1<<20, 4)
	src := &source{err: io.EOF, before: func(i int) {
		if i%8 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		}
	}}
	for range size / len(piece) {
		src.pieces = append(src.pieces, piece)
	}
	info, err := s.Put(t.Context(), blob.Videos, blob.NewID(), src)
	if err != nil || info.Bytes != size {
		t.Fatalf("Put = %+v, %v", info, err)
	}
	if peak > base.HeapAlloc+allowed {
		t.Errorf("%d bytes more in use during a Put of %d bytes, want at most %d", peak-base.HeapAlloc, size, allowed)
	}
	n, err := io.Copy(io.Discard, open(t, s, blob.Videos, info.ID))
	if err != nil || n != size {
		t.Errorf("read %d bytes, error %v", n, err)
	}
}

func testSweepDuringPut(t *testing.T, s blob.Store) {
	p := content(1<<20, 5)
	src := &source{pieces: [][]byte{p[: 300<<10 : 300<<10], p[300<<10:]}, err: io.EOF, before: func(int) {
		if err := s.Sweep(t.Context()); err != nil {
			t.Errorf("Sweep: %v", err)
		}
	}}
	id := blob.NewID()
	if _, err := s.Put(t.Context(), blob.Videos, id, src); err != nil {
		t.Fatalf("Put: %v", err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, blob.Videos, id, p)
}

func testReuse(t *testing.T, s blob.Store) {
	id := put(t, s, blob.Videos, []byte("one")).ID
	if err := s.Delete(t.Context(), blob.Videos, id); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, s, id)
}
