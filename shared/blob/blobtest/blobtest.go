// Package blobtest is the conformance suite of blob.Store: every
// implementation passes it.
package blobtest

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Run holds a store against the sentences of the contract. open returns a new
// and empty store each time it is called.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, blob.Store){
		"what is put is read":                    testRoundTrip,
		"an id is taken once":                    testExists,
		"one of many puts of an id wins":         testConcurrentSameID,
		"puts run side by side":                  testConcurrentPuts,
		"buckets are apart":                      testBuckets,
		"a blob is invisible until Put returns":  testInvisibleUntilDone,
		"a failing source leaves nothing":        testSourceError,
		"a cancelled Put leaves nothing":         testCancelledPut,
		"so does one cancelled at the end":       testCancelledAtTheEnd,
		"a reader seeks anywhere":                testSeek,
		"the context of Open bounds reads":       testReadContext,
		"a large blob needs little memory":       testMemory,
		"a deleted blob is gone":                 testDelete,
		"a reader seeks back and forth":          testManySeeks,
		"a reader outlives Delete or says so":    testDeleteWhileReading,
		"a reader keeps to the blob it opened":   testReplaceWhileReading,
		"an id may be used again after Delete":   testReuse,
		"List yields each blob of the bucket":    testList,
		"List can be left early":                 testListEarly,
		"List ends with the context":             testListContext,
		"an id that cannot be is not found":      testBadIDs,
		"Sweep leaves a Put that is under way":   testSweepDuringPut,
		"a store that was opened is ready":       testReady,
		"a blob that is a file gives the file":   testLocal,
		"a cancelled context opens nothing":      testCancelledOpen,
		"a reader knows the size and the time":   testInfo,
		"an empty blob is a blob":                testEmpty,
		"bytes known at the end are amended":     testAmended,
		"an error of the source keeps its cause": testSourceCause,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// content returns n bytes that look random, the same for the same seed.
func content(n int, seed int) []byte {
	p := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	for i := 0; i < n; i += 8 {
		v := r.Uint64()
		for k := i; k < min(i+8, n); k++ {
			p[k], v = byte(v), v>>8
		}
	}
	return p
}

func put(t *testing.T, s blob.Store, b blob.Bucket, p []byte) blob.Info {
	t.Helper()
	id := blob.NewID()
	info, err := s.Put(t.Context(), b, id, bytes.NewReader(p))
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	if info.ID != id || info.Bytes != int64(len(p)) {
		t.Fatalf("Put returned %+v for %s with %d bytes", info, id, len(p))
	}
	return info
}

func open(t *testing.T, s blob.Store, b blob.Bucket, id string) blob.Reader {
	t.Helper()
	r, err := s.Open(t.Context(), b, id)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func wantContent(t *testing.T, s blob.Store, b blob.Bucket, id string, want []byte) {
	t.Helper()
	got, err := io.ReadAll(open(t, s, b, id))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, error %v; want the %d bytes that were put", len(got), err, len(want))
	}
}

// wantNothing checks that there is no video with the id, nor a trace of one,
// and that it can be put.
func wantNothing(t *testing.T, s blob.Store, id string) {
	t.Helper()
	if r, err := s.Open(t.Context(), blob.Videos, id); !fail.Is(err, fail.NotFound) {
		t.Errorf("Open = %v, %v; want not found", r, err)
	}
	for _, info := range list(t, s, blob.Videos) {
		if info.ID == id {
			t.Errorf("List shows %+v", info)
		}
	}
	if _, err := s.Put(t.Context(), blob.Videos, id, bytes.NewReader([]byte("second"))); err != nil {
		t.Errorf("the id is not free: %v", err)
	}
}

func list(t *testing.T, s blob.Store, b blob.Bucket) []blob.Info {
	t.Helper()
	var all []blob.Info
	for info, err := range s.List(t.Context(), b) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		all = append(all, info)
	}
	return all
}

// source is a reader that gives its pieces one by one and then the error.
// before is called ahead of each piece.
type source struct {
	pieces [][]byte
	before func(i int)
	err    error
	next   int
}

func (s *source) Read(p []byte) (int, error) {
	if s.next >= len(s.pieces) {
		return 0, s.err
	}
	if s.before != nil {
		s.before(s.next)
	}
	n := copy(p, s.pieces[s.next])
	if s.pieces[s.next] = s.pieces[s.next][n:]; len(s.pieces[s.next]) == 0 {
		s.next++
	}
	return n, nil
}

func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
