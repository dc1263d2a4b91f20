package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/gridfs"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

const (
	minGridFS = 0.95 // of the throughput of the driver's own bucket
	maxOffset = 1.25 // time to a byte in the middle or at the end, of that to the first
)

// gridfs measures Put and Open of our store against UploadFromStream and
// DownloadToStream of the driver, on one server, and how long a reader waits
// for its first byte at three offsets.
func (b *bench) gridfs(ctx context.Context) (rows []row, err error) {
	b.log.Print("gridfs: building a server")
	server, err := servers.NewMongo(b.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Remove()) }()
	m, err := newGridFSBench(server.URL(), b.blob)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	var put, get []pair
	waits := make([][]float64, len(offsets))
	for i := range b.blobs + 1 {
		p, g, w, err := m.turn(ctx, i%2 == 0)
		if err != nil {
			return nil, err
		}
		b.log.Printf("gridfs: put %v, driver %v; read %v, driver %v", p.ours, p.rival, g.ours, g.rival)
		if i == 0 {
			continue // the first warms up
		}
		put, get = append(put, p), append(get, g)
		for k := range offsets {
			waits[k] = append(waits[k], w[k])
		}
	}
	return []row{
		m.row("Put of our store; the driver's UploadFromStream", put),
		m.row("Open and read; the driver's DownloadToStream", get),
		m.waitRow(waits),
	}, nil
}

// offsets are where a ranged read begins, in parts of the blob.
var offsets = []float64{0, 0.5, 0.99}

// gridFSBench is a store and the driver's bucket over the same collections.
type gridFSBench struct {
	store  *gridfs.Store
	client *mongo.Client
	bucket *mongo.GridFSBucket
	p      []byte
}

func newGridFSBench(address string, size int) (*gridFSBench, error) {
	store, err := gridfs.Open(address, gridfs.Options{})
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(options.Client().ApplyURI(address))
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	m := &gridFSBench{store: store, client: client, p: make([]byte, size)}
	_, _ = rand.NewChaCha8([32]byte{}).Read(m.p)
	m.bucket = client.Database("alchemist").GridFSBucket(options.GridFSBucket().SetName(string(blob.Videos)))
	return m, nil
}

func (m *gridFSBench) close() error {
	return errors.Join(m.store.Close(), m.client.Disconnect(context.Background()))
}

// turn writes and reads the blob in both ways. There is never more than one
// blob, for the server's time to find a chunk may grow with their number.
func (m *gridFSBench) turn(ctx context.Context, oursFirst bool) (put, get pair, waits []float64, err error) {
	ours := func() error {
		id := blob.NewID()
		if put.ours, err = timed(func() error {
			_, err := m.store.Put(ctx, blob.Videos, id, bytes.NewReader(m.p))
			return err
		}); err != nil {
			return err
		}
		if get.ours, err = timed(func() error { return m.read(ctx, id) }); err != nil {
			return err
		}
		if waits, err = m.waits(ctx, id); err != nil {
			return err
		}
		return m.store.Delete(ctx, blob.Videos, id)
	}
	rival := func() error {
		id := blob.NewID()
		if put.rival, err = timed(func() error {
			return m.bucket.UploadFromStreamWithID(ctx, id, id, bytes.NewReader(m.p))
		}); err != nil {
			return err
		}
		if get.rival, err = timed(func() error {
			n, err := m.bucket.DownloadToStream(ctx, id, io.Discard)
			return m.all(n, err)
		}); err != nil {
			return err
		}
		return m.bucket.Delete(ctx, id)
	}
	turns := []func() error{ours, rival}
	if !oursFirst {
		slices.Reverse(turns)
	}
	for _, turn := range turns {
		if err := turn(); err != nil {
			return pair{}, pair{}, nil, err
		}
	}
	return put, get, waits, nil
}

func (m *gridFSBench) read(ctx context.Context, id string) error {
	r, err := m.store.Open(ctx, blob.Videos, id)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return m.all(io.Copy(io.Discard, r))
}

func (m *gridFSBench) all(n int64, err error) error {
	if err == nil && n != int64(len(m.p)) {
		err = fmt.Errorf("read %d bytes, want %d", n, len(m.p))
	}
	return err
}

// waits returns the milliseconds from Open to a byte at each offset.
func (m *gridFSBench) waits(ctx context.Context, id string) ([]float64, error) {
	all := make([]float64, 0, len(offsets))
	for _, part := range offsets {
		at := int64(part * float64(len(m.p)))
		took, err := timed(func() error {
			r, err := m.store.Open(ctx, blob.Videos, id)
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			if _, err := r.Seek(at, io.SeekStart); err != nil {
				return err
			}
			got := make([]byte, 1)
			if _, err := io.ReadFull(r, got); err != nil {
				return err
			}
			if got[0] != m.p[at] {
				return fmt.Errorf("the byte at %d is wrong", at)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		all = append(all, milliseconds(took))
	}
	return all, nil
}

func timed(do func() error) (time.Duration, error) {
	start := time.Now()
	err := do()
	return time.Since(start), err
}

// row compares throughputs.
func (m *gridFSBench) row(what string, pairs []pair) row {
	speed := func(d time.Duration) float64 { return float64(len(m.p)) / (1 << 20) / seconds(d) }
	ratios := each(pairs, func(p pair) float64 { return seconds(p.rival) / seconds(p.ours) })
	return row{
		what:   fmt.Sprintf("GridFS, %d MiB: %s", len(m.p)>>20, what),
		ours:   fmt.Sprintf("%.1f MiB/s", median(each(pairs, func(p pair) float64 { return speed(p.ours) }))),
		rival:  fmt.Sprintf("%.1f MiB/s", median(each(pairs, func(p pair) float64 { return speed(p.rival) }))),
		result: fmt.Sprintf("× %.2f (%s, %d pairs)", median(ratios), spread("%.2f", ratios), len(ratios)),
		target: fmt.Sprintf("≥ × %.2f", minGridFS),
		met:    yes(median(ratios) >= minGridFS),
	}
}

// waitRow compares the waits at the later offsets with that at the start, each
// with those of its own turn.
func (m *gridFSBench) waitRow(waits [][]float64) row {
	worst, medians := 0.0, make([]string, 0, len(waits))
	for _, at := range waits {
		ratios := make([]float64, 0, len(at))
		for i := range at {
			ratios = append(ratios, at[i]/waits[0][i])
		}
		worst = max(worst, median(ratios))
		medians = append(medians, fmt.Sprintf("%.0f", median(at)))
	}
	return row{
		what:   "GridFS: time to a byte at 0, 50 and 99 %",
		ours:   fmt.Sprintf("%s, %s, %s ms", medians[0], medians[1], medians[2]),
		rival:  none,
		result: fmt.Sprintf("× %.2f of that at 0 (%d turns)", worst, len(waits[0])),
		target: fmt.Sprintf("≤ × %.2f", maxOffset),
		met:    yes(worst <= maxOffset),
	}
}
