package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/files"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
)

// round is what one copy of the file took each way.
type round struct{ cp, cpSync, upload, download time.Duration }

// throughput measures the upload and the download of a large file against cp
// of the same file to the same disk. The store syncs what it takes, and cp
// does not: hence both cp alone and cp with a sync.
func (b *bench) throughput(ctx context.Context) (rows []row, err error) {
	path, err := b.randomFile("copy.bin")
	if err != nil {
		return nil, err
	}
	var rounds []round
	err = b.serving(ctx, func(s *server, c *client) error {
		fid, err := seed(ctx, s, path)
		if err != nil {
			return fmt.Errorf("store a result: %w", err)
		}
		for n := range b.copies + 1 { // once to warm up
			r, err := b.round(ctx, c, path, fid)
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			b.log.Printf("throughput: cp %v, with sync %v, upload %v, download %v", r.cp, r.cpSync, r.upload, r.download)
			rounds = append(rounds, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	ways := []struct {
		what        string
		ours, rival func(round) time.Duration
	}{
		{"upload of %s, synced; cp without sync", func(r round) time.Duration { return r.upload }, func(r round) time.Duration { return r.cp }},
		{"upload of %s, synced; cp and sync", func(r round) time.Duration { return r.upload }, func(r round) time.Duration { return r.cpSync }},
		{"download of %s to a file; cp without sync", func(r round) time.Duration { return r.download }, func(r round) time.Duration { return r.cp }},
	}
	for _, w := range ways {
		pairs := make([]pair, 0, len(rounds))
		for _, r := range rounds {
			pairs = append(pairs, pair{w.ours(r), w.rival(r)})
		}
		rows = append(rows, b.speedRow(fmt.Sprintf(w.what, size(b.file)), pairs))
	}
	return rows, os.Remove(path)
}

func (b *bench) speedRow(what string, pairs []pair) row {
	speed := func(d time.Duration) float64 { return float64(b.file) / mib / seconds(d) }
	ratios := each(pairs, func(p pair) float64 { return seconds(p.rival) / seconds(p.ours) })
	return row{
		what:   what,
		ours:   fmt.Sprintf("%.0f MiB/s", median(each(pairs, func(p pair) float64 { return speed(p.ours) }))),
		rival:  fmt.Sprintf("%.0f MiB/s", median(each(pairs, func(p pair) float64 { return speed(p.rival) }))),
		result: fmt.Sprintf("× %.2f (%s, %d rounds)", median(ratios), spread("%.2f", ratios), len(ratios)),
		target: none, met: none,
	}
}

// round copies the file each way once. Whatever it made is gone at the end.
func (b *bench) round(ctx context.Context, c *client, path, fid string) (r round, err error) {
	to := filepath.Join(b.dir, "copied.bin")
	if r.cp, r.cpSync, err = cp(ctx, path, to); err != nil {
		return r, err
	}
	if err := os.Remove(to); err != nil {
		return r, err
	}
	start := time.Now()
	j, err := c.upload(ctx, path)
	r.upload = time.Since(start)
	if err != nil {
		return r, err
	}
	if _, err := c.await(ctx, j.ID); err != nil { // it fails: the content is random
		return r, err
	}
	if err := c.remove(ctx, j.ID); err != nil {
		return r, err
	}
	start = time.Now()
	n, err := c.download(ctx, fid, to)
	r.download = time.Since(start)
	if err == nil && n != b.file {
		err = fmt.Errorf("downloaded %d bytes of %d", n, b.file)
	}
	return r, errors.Join(err, os.Remove(to))
}

// cp copies a file with cp, and then syncs the copy. It returns how long cp
// took, and both together.
func cp(ctx context.Context, from, to string) (alone, synced time.Duration, err error) {
	start := time.Now()
	if out, err := exec.CommandContext(ctx, "cp", from, to).CombinedOutput(); err != nil { // #nosec G204 -- all ours
		return 0, 0, fmt.Errorf("cp: %w: %s", err, out)
	}
	alone = time.Since(start)
	f, err := os.OpenFile(to, os.O_RDWR, 0) // #nosec G304 -- below our own folder
	if err != nil {
		return 0, 0, err
	}
	err = f.Sync()
	synced = time.Since(start)
	return alone, synced, errors.Join(err, f.Close())
}

// seed gives the server a job whose result is the file, as no MP3 of that
// size is made in reasonable time. It returns the result's blob id.
func seed(ctx context.Context, s *server, path string) (fid string, err error) {
	l, err := ledger.Open(ctx, s.ledger())
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	store, err := files.Open(s.blobs())
	if err != nil {
		return "", err
	}
	owner, err := l.UserByEmail(ctx, adminEmail)
	if err != nil {
		return "", err
	}
	f, err := os.Open(path) // #nosec G304 -- made by ourselves
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	info, err := store.Put(ctx, blob.Audio, blob.NewID(), f)
	if err != nil {
		return "", err
	}
	j, err := l.CreateJob(ctx, job.Job{ID: job.NewID(), Owner: owner.ID, Name: "large.mp4", Source: blob.NewID(), Bytes: info.Bytes})
	if err != nil {
		return "", err
	}
	const holder = "bench"
	if _, err := l.Claim(ctx, j.ID, holder, time.Minute); err != nil {
		return "", err
	}
	_, err = l.Complete(ctx, j.ID, holder, []job.Result{{FID: info.ID, Name: "large.mp3", Format: "mp3", Bytes: info.Bytes}})
	return info.ID, err
}

// randomFile makes a file that no disk or link can compress.
func (b *bench) randomFile(name string) (path string, err error) {
	path = filepath.Join(b.dir, name)
	f, err := os.Create(path) // #nosec G304 -- below our own folder
	if err != nil {
		return "", err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(rand.Reader, b.file), make([]byte, bufferSize))
	return path, errors.Join(err, f.Sync(), f.Close())
}
