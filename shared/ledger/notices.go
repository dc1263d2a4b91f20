package ledger

import (
	"context"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// ClaimNotice takes the notice of a job's outcome (job.Done or job.Failed) in
// a run, for holder to send until the lease runs out; a holder that has it may
// claim it again. It returns false where there is nothing to send: it is sent
// or refused already, or the job has no such outcome or is gone. A lease that
// another holder still has is fail.Unavailable.
func (l *Ledger) ClaimNotice(ctx context.Context, id string, run int, outcome job.State, holder string, lease time.Duration) (bool, error) {
	now := l.now()
	return read(ctx, l.db, "claim the notice of job "+id, func(ctx context.Context, x execer) (bool, error) {
		n, err := changed(ctx, x, `UPDATE notices SET holder = ?, lease_until = ?
			WHERE job_id = ? AND run = ? AND outcome = ? AND closed_at = 0 AND (lease_until <= ? OR holder = ?)`,
			holder, now+lease.Milliseconds(), id, run, outcome, now, holder)
		if err != nil || n == 1 {
			return n == 1, err
		}
		var open int
		err = x.QueryRowContext(ctx, `SELECT COUNT(*) FROM notices WHERE job_id = ? AND run = ? AND outcome = ? AND closed_at = 0`,
			id, run, outcome).Scan(&open)
		if err == nil && open > 0 {
			err = fail.New(fail.Unavailable, "Another delivery sends this notice.")
		}
		return false, err
	})
}

// CloseNotice marks a claimed notice as sent, or as refused for good; it will
// not be sent again, and the job is no longer due. fail.Exists if the claim
// was lost: nothing is changed. The holder may close it again.
func (l *Ledger) CloseNotice(ctx context.Context, id string, run int, outcome job.State, holder string, refused bool) error {
	now := l.now()
	return l.db.tx(ctx, "close the notice of job "+id, func(ctx context.Context, tx execer) error {
		// The job comes first, as everywhere: so that no two wait for each other.
		if _, err := changed(ctx, tx, `UPDATE jobs SET due_at = 0 WHERE id = ? AND run = ? AND state = ?`, id, run, outcome); err != nil {
			return err
		}
		n, err := changed(ctx, tx, `UPDATE notices SET closed_at = ?, refused = ?, lease_until = 0
			WHERE job_id = ? AND run = ? AND outcome = ? AND holder = ?`,
			now, flag(refused), id, run, outcome, holder)
		return held(n, err)
	})
}

// ReleaseNotice gives a claimed notice back unsent. One that is no longer the
// holder's is left alone.
func (l *Ledger) ReleaseNotice(ctx context.Context, id string, run int, outcome job.State, holder string) error {
	_, err := l.db.change(ctx, "release the notice of job "+id, `UPDATE notices SET holder = '', lease_until = 0
		WHERE job_id = ? AND run = ? AND outcome = ? AND holder = ? AND closed_at = 0`, id, run, outcome, holder)
	return err
}
