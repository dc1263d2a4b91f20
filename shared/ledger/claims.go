package ledger

import (
	"context"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// Claim takes a job for conversion: holder, an id made for this attempt
// alone, has it until the lease runs out. A holder that claims again what it
// still has gets a new lease, and that is no further attempt. A job that has ended is
// returned as it is, with no claim: look at its State. A lease that another
// holder still has is fail.Unavailable with the time that it has left; a job
// that is not there is fail.NotFound.
func (l *Ledger) Claim(ctx context.Context, id, holder string, lease time.Duration) (job.Job, error) {
	defer l.tell()
	now := l.now()
	until := now + lease.Milliseconds()
	var j job.Job
	err := l.db.tx(ctx, "claim job "+id, func(ctx context.Context, tx execer) error {
		// attempts comes first: MySQL sets the columns one after the other, and
		// after holder it would see the new one.
		n, err := changed(ctx, tx, `UPDATE jobs SET
			attempts = attempts + CASE WHEN state = ? AND holder = ? AND lease_until > ? THEN 0 ELSE 1 END,
			state = ?, holder = ?, lease_until = ?, progress = 0, updated_at = ?, due_at = ?
			WHERE id = ? AND ((state IN (?, ?, ?) AND lease_until <= ?) OR (state = ? AND holder = ?))`,
			job.Converting, holder, now,
			job.Converting, holder, until, now, until+leaseGrace.Milliseconds(),
			id, job.Received, job.Queued, job.Converting, now, job.Converting, holder)
		if err != nil {
			return err
		}
		if j, err = readJob(ctx, tx, id); err != nil {
			return err
		}
		if n == 0 && !j.State.Ended() {
			var left int64 // 0 where the holder has let go just now
			if err := tx.QueryRowContext(ctx, `SELECT lease_until - ? FROM jobs WHERE id = ?`, now, id).Scan(&left); err != nil {
				return err
			}
			return fail.Later(fail.Unavailable, time.Duration(max(left, 0))*time.Millisecond, "Another delivery converts this job.")
		}
		return nil
	})
	return j, err
}

// Renew extends the holder's lease from now and records progress in per cent.
// fail.Exists once the claim is lost: the job is another's, has ended, or is
// gone; stop the work.
func (l *Ledger) Renew(ctx context.Context, id, holder string, lease time.Duration, progress int) error {
	defer l.tell()
	now := l.now()
	until := now + lease.Milliseconds()
	n, err := l.db.change(ctx, "renew the claim on job "+id,
		`UPDATE jobs SET lease_until = ?, progress = ?, updated_at = ?, due_at = ? WHERE id = ? AND holder = ? AND state = ?`,
		until, min(max(progress, 0), 100), now, until+leaseGrace.Milliseconds(), id, holder, job.Converting)
	return held(n, err)
}

// Release gives a claim back unfinished: the job is queued again, for the
// next delivery to claim at once. fail.Exists if the claim was lost, or given
// back before.
func (l *Ledger) Release(ctx context.Context, id, holder string) error {
	defer l.tell()
	now := l.now()
	n, err := l.db.change(ctx, "release the claim on job "+id,
		`UPDATE jobs SET state = ?, holder = '', lease_until = 0, progress = 0, updated_at = ?, due_at = ?
		WHERE id = ? AND holder = ? AND state = ?`,
		job.Queued, now, now+restWithin.Milliseconds(), id, holder, job.Converting)
	return held(n, err)
}

// Complete makes the holder's job done with these results, one at least, and
// returns it: also where it was done with them before. fail.Exists if the
// claim was lost: nothing is changed, and the blobs of the results are the
// caller's to delete. After fail.Unavailable the job may refer to them.
func (l *Ledger) Complete(ctx context.Context, id, holder string, results []job.Result) (job.Job, error) {
	j, err := l.end(ctx, id, job.Done, "", results, `holder = ? AND state = ?`, holder, job.Converting)
	if !fail.Is(err, fail.Exists) {
		return j, err
	}
	there, _, missing := l.Result(ctx, results[0].FID)
	switch {
	case missing == nil && there.ID == id:
		return there, nil
	case missing == nil || fail.Is(missing, fail.NotFound):
		return job.Job{}, err
	default:
		return job.Job{}, missing
	}
}

// Fail makes the holder's job failed, for a reason in words for its owner,
// and returns it. fail.Exists if the claim was lost.
func (l *Ledger) Fail(ctx context.Context, id, holder, reason string) (job.Job, error) {
	return l.end(ctx, id, job.Failed, reason, nil, `holder = ? AND state = ?`, holder, job.Converting)
}

// GiveUp makes a job failed whoever holds it, in that run, unless it has
// ended: fail.Exists then, as after the run. It is for the dead letter that
// will never be delivered.
func (l *Ledger) GiveUp(ctx context.Context, id string, run int, reason string) (job.Job, error) {
	return l.end(ctx, id, job.Failed, reason, nil, `run = ? AND state IN (?, ?, ?)`, run, job.Received, job.Queued, job.Converting)
}

// end gives a job its outcome where the condition holds, and opens the notice
// that tells its owner, in one transaction.
func (l *Ledger) end(ctx context.Context, id string, to job.State, reason string, results []job.Result, where string, args ...any) (job.Job, error) {
	defer l.tell()
	now := l.now()
	progress := 0
	if to == job.Done {
		progress = 100
	}
	args = append([]any{to, progress, reason, now, now, now + restWithin.Milliseconds(), id}, args...)
	var j job.Job
	err := l.db.tx(ctx, "end job "+id, func(ctx context.Context, tx execer) error {
		n, err := changed(ctx, tx, `UPDATE jobs SET state = ?, progress = ?, error = ?, holder = '', lease_until = 0,
			updated_at = ?, ended_at = ?, due_at = ? WHERE id = ? AND `+where, args...)
		if err := held(n, err); err != nil {
			return err
		}
		for i, r := range results {
			if _, err := tx.ExecContext(ctx, `INSERT INTO results (fid, job_id, position, name, format, bytes, duration_ms)
				VALUES (?, ?, ?, ?, ?, ?, ?)`, r.FID, id, i, r.Name, r.Format, r.Bytes, r.Duration.Milliseconds()); err != nil {
				return err
			}
		}
		if j, err = readJob(ctx, tx, id); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO notices (job_id, run, outcome, holder, lease_until, closed_at, refused)
			VALUES (?, ?, ?, '', 0, 0, 0)`, id, j.Run, to)
		return err
	})
	return j, err
}

// held turns "no row changed" into fail.Exists.
func held(n int64, err error) error {
	if err == nil && n == 0 {
		return fail.New(fail.Exists, "The claim on the job is lost.")
	}
	return err
}
