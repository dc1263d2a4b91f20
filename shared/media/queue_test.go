package media

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
)

// chunkOf makes one of n bytes.
func chunkOf(t *testing.T, n int) chunk {
	t.Helper()
	c, err := readChunk(bytes.NewReader(make([]byte, n)))
	if !errors.Is(err, io.EOF) || len(c.bytes) != n {
		t.Fatalf("%d bytes, %v", len(c.bytes), err)
	}
	return c
}

func TestAFullFeedWakesItsWriterOnceASixteenthIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := newFeed(ctx, 3200)
		put := 0
		go func() {
			for range 64 {
				if f.put(chunkOf(t, 100)) != nil {
					return
				}
				put++
			}
		}()
		synctest.Wait()
		if put != 32 {
			t.Fatalf("%d chunks put in a room of 32", put)
		}
		for taken, want := range []int{32, 32, 35} {
			if _, err := f.next(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if put != want {
				t.Errorf("%d chunks put after %d were taken, want %d", put, taken+1, want)
			}
		}
		cancel()
		synctest.Wait()
	})
}

func TestMemoryIsUsedAgainOnlyOnceAllHaveDroppedIt(t *testing.T) {
	first, err := readChunk(bytes.NewReader([]byte("kept by two")))
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	part := first.from(8).keep()
	first.drop()
	for range 100 { // whatever there is to be used again
		c, _ := readChunk(bytes.NewReader([]byte("another one")))
		defer c.drop()
	}
	if string(part.bytes) != "two" || part.block.keepers.Load() != 1 {
		t.Errorf("%q, kept by %d", part.bytes, part.block.keepers.Load())
	}
}

// TestAProgramThatEndsEarlyEndsItsFeed: also where it says that all is well.
func TestAProgramThatEndsEarlyEndsItsFeed(t *testing.T) {
	for name, put := range map[string]int{"before it was given all": 64, "while it waits for more": 1} {
		t.Run(name, func(t *testing.T) {
			f := newFeed(t.Context(), 128*blockBytes)
			for range put {
				if err := f.put(chunkOf(t, blockBytes/2)); err != nil {
					t.Fatal(err)
				}
			}
			err := f.writeTo(func(stdin *os.File) error {
				_, err := io.ReadFull(stdin, make([]byte, 1000))
				return err
			})
			if err == nil {
				t.Error("no error")
			}
			if err := f.put(chunkOf(t, 1)); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("put afterwards: %v", err)
			}
		})
	}
}
