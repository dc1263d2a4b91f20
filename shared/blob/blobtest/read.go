package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func testSeek(t *testing.T, s blob.Store) {
	p := content(1<<20+3, 6)
	r := open(t, s, blob.Videos, put(t, s, blob.Videos, p).ID)
	size := int64(len(p))
	for _, tt := range []struct {
		offset int64
		whence int
		want   int64
	}{
		{0, io.SeekStart, 0},
		{700_000, io.SeekStart, 700_000},
		{-100, io.SeekCurrent, 700_000 + 16 - 100}, // after 16 bytes were read
		{255 << 10, io.SeekStart, 255 << 10},
		{-5, io.SeekEnd, size - 5},
		{1, io.SeekStart, 1},
		{0, io.SeekEnd, size},
		{10, io.SeekEnd, size + 10},
	} {
		at, err := r.Seek(tt.offset, tt.whence)
		if err != nil || at != tt.want {
			t.Fatalf("Seek(%d, %d) = %d, %v; want %d", tt.offset, tt.whence, at, err, tt.want)
		}
		want := p[min(at, size):min(at+16, size)]
		got := make([]byte, 16)
		n, err := io.ReadFull(r, got)
		if len(want) == 16 && err != nil || len(want) < 16 && err == nil || !bytes.Equal(got[:n], want) {
			t.Errorf("at %d: read %x, error %v; want %x", at, got[:n], err, want)
		}
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("a seek before the start is no error")
	}
}

// testManySeeks reads pieces of many sizes, in jumps of many sizes.
func testManySeeks(t *testing.T, s blob.Store) {
	const size = 4<<20 + 11
	p := content(size, 11)
	r := open(t, s, blob.Videos, put(t, s, blob.Videos, p).ID)
	random := rand.New(rand.NewPCG(11, 2))
	at := int64(0)
	for range 24 {
		if jump := random.Int64N(3); jump > 0 {
			at = min(size, max(0, at+random.Int64N(2*size>>(2*jump))-size>>(2*jump)))
		}
		if got, err := r.Seek(at, io.SeekStart); err != nil || got != at {
			t.Fatalf("Seek(%d) = %d, %v", at, got, err)
		}
		got := make([]byte, min(random.Int64N(1<<(4+random.IntN(17))), size-at))
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, p[at:at+int64(len(got))]) {
			t.Fatalf("%d bytes read at %d are not those that were put, error %v", len(got), at, err)
		}
		at += int64(len(got))
	}
}

func testReadContext(t *testing.T, s blob.Store) {
	id := put(t, s, blob.Videos, content(1<<20, 7)).ID
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := s.Open(ctx, blob.Videos, id)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("read after cancel: %v, want context canceled", err)
	}
}

func testCancelledOpen(t *testing.T, s blob.Store) {
	id := put(t, s, blob.Videos, []byte("x")).ID
	if _, err := s.Open(cancelled(t), blob.Videos, id); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v, want context canceled", err)
	}
	if err := s.Delete(cancelled(t), blob.Videos, id); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete: %v, want context canceled", err)
	}
	wantContent(t, s, blob.Videos, id, []byte("x"))
}

func testDelete(t *testing.T, s blob.Store) {
	kept, gone := put(t, s, blob.Videos, []byte("kept")), put(t, s, blob.Videos, []byte("gone"))
	for range 2 { // the second time there is nothing there
		if err := s.Delete(t.Context(), blob.Videos, gone.ID); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
	if _, err := s.Open(t.Context(), blob.Videos, gone.ID); !fail.Is(err, fail.NotFound) {
		t.Errorf("Open of a deleted blob: %v, want not found", err)
	}
	if got := list(t, s, blob.Videos); len(got) != 1 || got[0].ID != kept.ID {
		t.Errorf("List = %+v, want only %s", got, kept.ID)
	}
	wantContent(t, s, blob.Videos, kept.ID, []byte("kept"))
}

// testDeleteWhileReading takes either of two answers: the whole content (a
// file must give it), or an error. Never wrong bytes.
func testDeleteWhileReading(t *testing.T, s blob.Store) {
	p := content(2<<20, 8)
	id := put(t, s, blob.Videos, p).ID
	r := open(t, s, blob.Videos, id)
	head := make([]byte, 100)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), blob.Videos, id); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(r)
	got := slices.Concat(head, rest)
	if _, local := r.(blob.Local); local && err != nil {
		t.Errorf("read after Delete: %v, though the blob is a file", err)
	}
	if !bytes.HasPrefix(p, got) || err == nil && len(got) != len(p) {
		t.Errorf("read %d bytes after Delete that are not the blob's, error %v", len(got), err)
	}
}

func testReplaceWhileReading(t *testing.T, s blob.Store) {
	const size = 4 << 20
	p := content(size, 12)
	id := put(t, s, blob.Videos, p).ID
	r := open(t, s, blob.Videos, id)
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), blob.Videos, id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), blob.Videos, id, bytes.NewReader(content(size, 13))); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{100, 3 << 20} {
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(r); !bytes.HasPrefix(p[at:], rest) || err == nil && len(rest) != size-int(at) {
			t.Errorf("at %d: read %d bytes, some not of the blob that was opened, error %v", at, len(rest), err)
		}
	}
}

func testLocal(t *testing.T, s blob.Store) {
	p := content(100<<10, 10)
	id := put(t, s, blob.Videos, p).ID
	local, ok := open(t, s, blob.Videos, id).(blob.Local)
	if !ok {
		return // not every store keeps files
	}
	if err := s.Delete(t.Context(), blob.Videos, id); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(local.File()); err != nil || !bytes.Equal(got, p) {
		t.Errorf("the file has %d bytes, error %v; want the blob's %d", len(got), err, len(p))
	}
}

func testList(t *testing.T, s blob.Store) {
	for _, b := range blob.Buckets() {
		if got := list(t, s, b); len(got) != 0 {
			t.Errorf("List of the empty bucket %s = %+v", b, got)
		}
	}
	want := map[string]blob.Info{}
	for i := range 40 {
		info := put(t, s, blob.Videos, content(i, 1))
		want[info.ID] = info
		put(t, s, blob.Audio, []byte("other bucket"))
	}
	got := list(t, s, blob.Videos)
	for _, info := range got {
		if want[info.ID] != info {
			t.Errorf("List yields %+v, want %+v", info, want[info.ID])
		}
		delete(want, info.ID)
	}
	if len(got) != 40 || len(want) != 0 {
		t.Errorf("List yields %d blobs and misses %d", len(got), len(want))
	}
}

func testListEarly(t *testing.T, s blob.Store) {
	for range 5 {
		put(t, s, blob.Videos, []byte("x"))
	}
	n := 0
	for _, err := range s.List(t.Context(), blob.Videos) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("left after %d", n)
	}
}

func testListContext(t *testing.T, s blob.Store) {
	put(t, s, blob.Videos, []byte("x"))
	var last error
	for _, err := range s.List(cancelled(t), blob.Videos) {
		if last != nil {
			t.Fatal("List goes on after an error")
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("List ended with %v, want context canceled", last)
	}
}

func testBadIDs(t *testing.T, s blob.Store) {
	good := put(t, s, blob.Videos, []byte("x")).ID
	for _, id := range []string{
		"", "x", ".", "..", "../x", "../../etc/passwd", "/etc/passwd", good + "x", good[:35], " " + good,
		"{" + good + "}", "urn:uuid:" + good, "6F1ED002-AB5C-4C3B-9D2E-000000000001", good + "/../" + good,
		"6f1ed002ab5c4c3b9d2e000000000001", good[:8] + "\x00" + good[9:], `{"$ne": null}`,
	} {
		if _, err := s.Open(t.Context(), blob.Videos, id); !fail.Is(err, fail.NotFound) {
			t.Errorf("Open(%q): %v, want not found", id, err)
		}
		if _, err := s.Put(t.Context(), blob.Videos, id, bytes.NewReader([]byte("bad"))); !fail.Is(err, fail.NotFound) {
			t.Errorf("Put(%q): %v, want not found", id, err)
		}
		if err := s.Delete(t.Context(), blob.Videos, id); !fail.Is(err, fail.NotFound) {
			t.Errorf("Delete(%q): %v, want not found", id, err)
		}
	}
	if got := list(t, s, blob.Videos); len(got) != 1 || got[0].ID != good {
		t.Errorf("List = %+v", got)
	}
}

func testReady(t *testing.T, s blob.Store) {
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	if err := s.Ready(cancelled(t)); err == nil {
		t.Error("Ready has no error for a cancelled context")
	}
}
