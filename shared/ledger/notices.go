package ledger

import (
	"context"
	"database/sql"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// ClaimNotice takes the notice of a job's outcome (job.Done or job.Failed) in
// a run, for holder to send until the lease runs out. It returns false where
// there is nothing to send: it is sent or refused already, or the job has no
// such outcome or is gone. A lease that another holder still has is
// fail.Unavailable.
func (l *Ledger) ClaimNotice(ctx context.Context, id string, run int, outcome job.State, holder string, lease time.Duration) (bool, error) {
	now := l.now()
	n, err := changed(ctx, l.db, `UPDATE notices SET holder = ?, lease_until = ?
		WHERE job_id = ? AND run = ? AND outcome = ? AND closed_at = 0 AND lease_until <= ?`,
		holder, now+lease.Milliseconds(), id, run, outcome, now)
	if err != nil || n == 1 {
		return n == 1, fail.Wrap(fail.Unavailable, err, "claim the notice of job %s", id)
	}
	var open int
	err = l.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM notices WHERE job_id = ? AND run = ? AND outcome = ? AND closed_at = 0`,
		id, run, outcome).Scan(&open)
	if err == nil && open > 0 {
		return false, fail.New(fail.Unavailable, "Another delivery sends this notice.")
	}
	return false, fail.Wrap(fail.Unavailable, err, "read the notice of job %s", id)
}

// CloseNotice marks a claimed notice as sent, or as refused for good; it will
// not be sent again. fail.Exists if the claim was lost.
func (l *Ledger) CloseNotice(ctx context.Context, id string, run int, outcome job.State, holder string, refused bool) error {
	return l.tx(ctx, "close the notice of job "+id, func(tx *sql.Tx) error {
		n, err := changed(ctx, tx, `UPDATE notices SET closed_at = ?, refused = ?, holder = '', lease_until = 0
			WHERE job_id = ? AND run = ? AND outcome = ? AND holder = ? AND closed_at = 0`,
			l.now(), flag(refused), id, run, outcome, holder)
		if err := held(n, err, "close the notice of job "+id); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE jobs SET due_at = 0 WHERE id = ? AND run = ? AND state = ?`, id, run, outcome)
		return err
	})
}

// ReleaseNotice gives a claimed notice back unsent.
func (l *Ledger) ReleaseNotice(ctx context.Context, id string, run int, outcome job.State, holder string) error {
	_, err := changed(ctx, l.db, `UPDATE notices SET holder = '', lease_until = 0
		WHERE job_id = ? AND run = ? AND outcome = ? AND holder = ? AND closed_at = 0`, id, run, outcome, holder)
	return fail.Wrap(fail.Unavailable, err, "release the notice of job %s", id)
}
