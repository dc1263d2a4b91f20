package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

// CreateUser stores a new user. An empty ID and a zero CreatedAt are filled
// in; the stored user is returned. fail.Exists if the address is taken.
func (l *Ledger) CreateUser(ctx context.Context, u user.User) (user.User, error) {
	if u.ID == "" {
		u.ID = uuid.NewString()
	}
	if u.CreatedAt.IsZero() {
		u.CreatedAt = at(l.now())
	}
	_, err := l.db.ExecContext(ctx,
		`INSERT INTO users (id, email, password_hash, admin, created_at) VALUES (?, ?, ?, ?, ?)`,
		u.ID, u.Email, u.PasswordHash, flag(u.Admin), u.CreatedAt.UnixMilli())
	if err == nil {
		return u, nil
	}
	if _, there := l.UserByEmail(ctx, u.Email); there == nil {
		return user.User{}, fail.New(fail.Exists, "There is an account with this address already.")
	}
	return user.User{}, fail.Wrap(fail.Unavailable, err, "create user")
}

// UserByEmail finds a user by the normalised address; fail.NotFound if there
// is none.
func (l *Ledger) UserByEmail(ctx context.Context, email string) (user.User, error) {
	return l.user(ctx, `email = ?`, email)
}

// UserByID finds a user; fail.NotFound if there is none.
func (l *Ledger) UserByID(ctx context.Context, id string) (user.User, error) {
	return l.user(ctx, `id = ?`, id)
}

func (l *Ledger) user(ctx context.Context, where, arg string) (user.User, error) {
	var (
		u       user.User
		created int64
		admin   int
	)
	err := l.db.QueryRowContext(ctx,
		`SELECT id, email, password_hash, admin, created_at FROM users WHERE `+where, arg).
		Scan(&u.ID, &u.Email, &u.PasswordHash, &admin, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return user.User{}, fail.New(fail.NotFound, "There is no such user.")
	}
	if err != nil {
		return user.User{}, fail.Wrap(fail.Unavailable, err, "read user")
	}
	u.Admin, u.CreatedAt = admin != 0, at(created)
	return u, nil
}

// HasAdmin reports whether any administrator exists.
func (l *Ledger) HasAdmin(ctx context.Context) (bool, error) {
	var n int
	err := l.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM users WHERE admin = 1`).Scan(&n)
	return n > 0, fail.Wrap(fail.Unavailable, err, "count administrators")
}

// LoginFailures returns how many failed logins of the account from the
// address there were since the time, and when the oldest of them was (the
// zero time for none). Account is a hash, never an email address.
func (l *Ledger) LoginFailures(ctx context.Context, account, address string, since time.Time) (int, time.Time, error) {
	var (
		n      int
		oldest sql.NullInt64
	)
	err := l.db.QueryRowContext(ctx,
		`SELECT COUNT(*), MIN(failed_at) FROM login_failures WHERE account = ? AND address = ? AND failed_at > ?`,
		account, address, since.UnixMilli()).Scan(&n, &oldest)
	return n, at(oldest.Int64), fail.Wrap(fail.Unavailable, err, "count failed logins")
}

// RecordLoginFailure remembers one failed login, now.
func (l *Ledger) RecordLoginFailure(ctx context.Context, account, address string) error {
	_, err := l.db.ExecContext(ctx,
		`INSERT INTO login_failures (id, account, address, failed_at) VALUES (?, ?, ?, ?)`,
		uuid.NewString(), account, address, l.now())
	return fail.Wrap(fail.Unavailable, err, "record failed login")
}

// ClearLoginFailures forgets the failed logins of the account from the
// address.
func (l *Ledger) ClearLoginFailures(ctx context.Context, account, address string) error {
	_, err := l.db.ExecContext(ctx, `DELETE FROM login_failures WHERE account = ? AND address = ?`, account, address)
	return fail.Wrap(fail.Unavailable, err, "clear failed logins")
}

// PruneLoginFailures forgets all failed logins before the time.
func (l *Ledger) PruneLoginFailures(ctx context.Context, before time.Time) error {
	_, err := l.db.ExecContext(ctx, `DELETE FROM login_failures WHERE failed_at < ?`, before.UnixMilli())
	return fail.Wrap(fail.Unavailable, err, "prune failed logins")
}
