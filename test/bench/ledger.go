package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// claimers is how many claim at once, each of them a job of its own.
const claimers = 16

// ledger measures how many jobs are claimed in a second, each in a transaction
// that is on disk when it ends: on a MariaDB server of our own, and beside it
// in a SQLite file on the same disk.
func (b *bench) ledger(ctx context.Context) (rows []row, err error) {
	server, err := servers.NewMySQL(b.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Remove()) }()
	for _, n := range []int{1, claimers} {
		address := fmt.Sprintf("%s?connections=%d", server.URL(), claimers)
		ours, err := b.claim(ctx, address, n)
		if err != nil {
			return nil, fmt.Errorf("MariaDB: %w", err)
		}
		rival, err := b.claim(ctx, "sqlite:"+filepath.Join(b.dir, fmt.Sprintf("claims-%d.db", n)), n)
		if err != nil {
			return nil, fmt.Errorf("SQLite: %w", err)
		}
		b.log.Printf("ledger: %d jobs claimed by %d in %v, in SQLite %v", b.events, n, ours, rival)
		what := fmt.Sprintf("claims in MariaDB, %d claimers; in SQLite", n)
		if n == 1 {
			what = "claims in MariaDB, 1 claimer; in SQLite"
		}
		rows = append(rows, row{
			what: what, ours: fmt.Sprintf("%.0f claims/s", float64(b.events)/seconds(ours)),
			rival:  fmt.Sprintf("%.0f claims/s", float64(b.events)/seconds(rival)),
			result: fmt.Sprintf("%.2f times as many", seconds(rival)/seconds(ours)), target: none, met: none,
		})
	}
	return rows, nil
}

// claim makes jobs in the ledger at the address and returns how long n
// claimers need to claim them all.
func (b *bench) claim(ctx context.Context, address string, n int) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	l, err := ledger.Open(ctx, address)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	jobs := make([]job.Job, b.events)
	for i := range jobs {
		jobs[i] = job.Job{ID: job.NewID(), Owner: "bench", Name: "talk.mp4", Source: blob.NewID(), Bytes: 1}
	}
	if err := shared(jobs, claimers, func(j job.Job) error { _, err := l.CreateJob(ctx, j); return err }); err != nil {
		return 0, err
	}
	start := time.Now()
	err = shared(jobs, n, func(j job.Job) error {
		_, err := l.Claim(ctx, j.ID, uuid.NewString(), time.Minute)
		return err
	})
	return time.Since(start), err
}

// shared has n workers do something with all the jobs; each stops at its
// first error.
func shared(jobs []job.Job, n int, do func(job.Job) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for w := range n {
		all.Go(func() {
			for i := w; i < len(jobs) && errs[w] == nil; i += n {
				errs[w] = do(jobs[i])
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
