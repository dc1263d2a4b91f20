package ledger

import (
	"context"
	"database/sql"
	"time"

	"github.com/google/uuid"
)

// FailureWindow is how long a failed login counts.
const FailureWindow = 15 * time.Minute

// LoginFailures returns how many failed logins of the account from the
// address there were since the time, and when the oldest of them was (the
// zero time for none). Account is a hash, never an email address; an empty
// address stands for all.
func (l *Ledger) LoginFailures(ctx context.Context, account, address string, since time.Time) (n int, first time.Time, err error) {
	err = l.db.do(ctx, "count failed logins", func(ctx context.Context, x execer) error {
		var oldest sql.NullInt64
		err := x.QueryRowContext(ctx,
			`SELECT COUNT(*), MIN(failed_at) FROM login_failures WHERE account = ? AND (address = ? OR ? = '') AND failed_at > ?`,
			account, address, address, since.UnixMilli()).Scan(&n, &oldest)
		first = at(oldest.Int64)
		return err
	})
	return n, first, err
}

// RecordLoginFailure remembers one failed login, now: each call is one more.
func (l *Ledger) RecordLoginFailure(ctx context.Context, account, address string) error {
	id, now := uuid.NewString(), l.now()
	return l.db.do(ctx, "record failed login", func(ctx context.Context, x execer) error {
		_, err := x.ExecContext(ctx,
			`INSERT INTO login_failures (id, account, address, failed_at) VALUES (?, ?, ?, ?)`, id, account, address, now)
		if duplicate(err) { // an earlier try got through
			return nil
		}
		return err
	})
}

// ClearLoginFailures forgets the failed logins of the account from the
// address.
func (l *Ledger) ClearLoginFailures(ctx context.Context, account, address string) error {
	_, err := l.db.change(ctx, "clear failed logins", `DELETE FROM login_failures WHERE account = ? AND address = ?`, account, address)
	return err
}

// PruneLoginFailures forgets all failed logins before the time.
func (l *Ledger) PruneLoginFailures(ctx context.Context, before time.Time) error {
	_, err := l.db.change(ctx, "prune failed logins", `DELETE FROM login_failures WHERE failed_at < ?`, before.UnixMilli())
	return err
}
