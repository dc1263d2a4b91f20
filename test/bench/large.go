package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/gridfs"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

const (
	largeCommand = "large" // as the first argument: write and read a blob, and end
	maxGrowth    = 1.25    // peak memory with a large blob, of that with one of a thirty-second
)

// large measures the memory of a process that writes a blob to GridFS and
// reads it again: it must not grow with the blob.
func (b *bench) large(ctx context.Context) (rows []row, err error) {
	var peaks []float64
	for _, size := range []int64{b.largest / 32, b.largest} {
		// A server each, for its own time and memory grow with what it has.
		server, err := servers.NewMongo(b.dir)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		most, err := b.largeIn(ctx, server.URL(), size)
		if err := errors.Join(err, server.Remove()); err != nil {
			return nil, err
		}
		b.log.Printf("large: %.1f MiB of memory for %.4g MiB, %v", most/mib, float64(size)/mib, time.Since(began).Round(time.Second))
		peaks = append(peaks, most)
	}
	growth := peaks[1] / peaks[0]
	return []row{{
		what:   "peak memory of writing and reading " + size(b.largest) + " in GridFS; of a thirty-second of it",
		ours:   fmt.Sprintf("%.1f MiB", peaks[1]/mib),
		rival:  fmt.Sprintf("%.1f MiB", peaks[0]/mib),
		result: fmt.Sprintf("× %.2f", growth),
		target: fmt.Sprintf("≤ × %.2f", maxGrowth),
		met:    yes(growth <= maxGrowth),
	}}, nil
}

// largeIn has a process of its own do it, and returns the most memory that it
// had, in bytes.
func (b *bench) largeIn(ctx context.Context, address string, size int64) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, largeCommand, address, strconv.FormatInt(size, 10)) // #nosec G204 -- this program
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("write and read %d bytes: %w", size, err)
	}
	return strconv.ParseFloat(strings.TrimSpace(out.String()), 64)
}

// enlarged writes and reads a blob of so many bytes, and prints the most
// memory that this process had, in bytes.
func enlarged(address, bytes string) {
	size, err := strconv.ParseInt(bytes, 10, 64)
	if err == nil {
		err = writeAndRead(context.Background(), address, size)
	}
	var most int64
	if err == nil {
		most, err = peak(os.Getpid())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	fmt.Println(most)
}

func writeAndRead(ctx context.Context, address string, size int64) (err error) {
	// The server of this benchmark looks through all chunks before it answers:
	// 20 minutes for a command, and nobody sweeps meanwhile.
	store, err := gridfs.Open(address+"?timeoutMS=1200000", gridfs.Options{Abandoned: 2 * time.Hour})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	id := blob.NewID()
	wrote, read := sha256.New(), sha256.New()
	content := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), size), wrote)
	if _, err := store.Put(ctx, blob.Videos, id, content); err != nil {
		return err
	}
	r, err := store.Open(ctx, blob.Videos, id)
	if err != nil {
		return err
	}
	n, err := io.Copy(read, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if n != size || !bytes.Equal(wrote.Sum(nil), read.Sum(nil)) {
		return fmt.Errorf("read %d bytes, wrote %d, or others", n, size)
	}
	return nil
}
