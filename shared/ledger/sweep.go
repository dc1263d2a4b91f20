package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// Due returns at most limit jobs that have rested too long in their state, the
// longest first: received but not published, queued and not claimed,
// converting with a lease that has run out, ended with their owner not told.
func (l *Ledger) Due(ctx context.Context, limit int) ([]job.Job, error) {
	now := l.now()
	return read(ctx, l.db, "list jobs that are due", func(ctx context.Context, x execer) ([]job.Job, error) {
		return readJobs(ctx, x, `WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?`, now, limit)
	})
}

// Rest is the jobs in one state that are not finished with.
type Rest struct {
	State   job.State
	Jobs    int
	Changed time.Time // when the one that has rested longest last changed
}

// Resting returns, for each state that has any, the jobs that are not finished
// with: those that have no outcome, and those whose owner was not told of it.
// It reads these jobs alone.
func (l *Ledger) Resting(ctx context.Context) ([]Rest, error) {
	return read(ctx, l.db, "count the jobs in each state", func(ctx context.Context, x execer) (all []Rest, err error) {
		rows, err := x.QueryContext(ctx, `SELECT state, COUNT(*), MIN(updated_at) FROM jobs WHERE due_at > 0 GROUP BY state`)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var (
				r       Rest
				changed int64
			)
			if err := rows.Scan(&r.State, &r.Jobs, &changed); err != nil {
				return nil, err
			}
			r.Changed = at(changed)
			all = append(all, r)
		}
		return all, rows.Err()
	})
}

// Postpone notes that something was done for a due job, so that it comes up
// again only if that has no effect. A converting job whose lease has run out
// is queued again.
func (l *Ledger) Postpone(ctx context.Context, id string) error {
	defer l.tell()
	now := l.now()
	return l.db.tx(ctx, "postpone job "+id, func(ctx context.Context, tx execer) error {
		_, err := changed(ctx, tx, `UPDATE jobs SET due_at = ? WHERE id = ? AND due_at > 0 AND due_at <= ?`,
			now+restWithin.Milliseconds(), id, now)
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, `UPDATE jobs SET state = ?, holder = '', lease_until = 0, progress = 0, updated_at = ?
			WHERE id = ? AND (state = ? OR (state = ? AND lease_until <= ?))`,
			job.Queued, now, id, job.Received, job.Converting, now)
		return err
	})
}

// CloseJob ends the watch over a job that has ended, told or not.
func (l *Ledger) CloseJob(ctx context.Context, id string) error {
	_, err := l.db.change(ctx, "close job "+id, `UPDATE jobs SET due_at = 0 WHERE id = ? AND state IN (?, ?)`, id, job.Done, job.Failed)
	return err
}

// Recover frees every lease, and makes the jobs due at once whose event may
// not have been published. It is for a process that has a file of its own and a
// durable broker to itself, when it starts: whoever held a lease or was about
// to publish is gone, and what was published is delivered again. On a server
// it does nothing, as other processes may be alive and hold what they hold:
// leases there run out by themselves, and jobs become due.
func (l *Ledger) Recover(ctx context.Context) error {
	if l.db.shared {
		return nil
	}
	now := l.now()
	return l.db.tx(ctx, "recover the ledger", func(ctx context.Context, tx execer) error {
		for _, q := range []string{
			`UPDATE notices SET holder = '', lease_until = 0 WHERE lease_until > 0`,
			`UPDATE jobs SET holder = '', lease_until = 0 WHERE lease_until > 0`,
		} {
			if _, err := changed(ctx, tx, q); err != nil {
				return err
			}
		}
		_, err := changed(ctx, tx, `UPDATE jobs SET due_at = ? WHERE state = ?`, now, job.Received)
		return err
	})
}

// Expired returns the ids of at most limit jobs that were made before the
// time, the oldest first.
func (l *Ledger) Expired(ctx context.Context, before time.Time, limit int) ([]string, error) {
	return l.strings(ctx, `SELECT id FROM jobs WHERE created_at < ? ORDER BY created_at LIMIT ?`, before.UnixMilli(), limit)
}

// Unreferenced returns those of the blob ids that no job refers to, neither
// as its video nor as a result.
func (l *Ledger) Unreferenced(ctx context.Context, fids []string) ([]string, error) {
	if len(fids) == 0 {
		return nil, nil
	}
	args := make([]any, 0, 2*len(fids))
	for range 2 {
		for _, fid := range fids {
			args = append(args, fid)
		}
	}
	known, err := l.strings(ctx, `SELECT source FROM jobs WHERE source IN (`+marks(len(fids))+`)
		UNION SELECT fid FROM results WHERE fid IN (`+marks(len(fids))+`)`, args...)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, fid := range known {
		seen[fid] = true
	}
	var orphans []string
	for _, fid := range fids {
		if !seen[fid] {
			orphans = append(orphans, fid)
		}
	}
	return orphans, nil
}

func (l *Ledger) strings(ctx context.Context, query string, args ...any) ([]string, error) {
	return read(ctx, l.db, "sweep ledger", func(ctx context.Context, x execer) (all []string, err error) {
		rows, err := x.QueryContext(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		return all, rows.Err()
	})
}
