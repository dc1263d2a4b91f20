package ledger

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

// CreateUser stores a new user. An empty ID and a zero CreatedAt are filled
// in; the stored user is returned, also where it was stored before with the
// same ID. fail.Exists if the address is taken, or the ID with another address.
func (l *Ledger) CreateUser(ctx context.Context, u user.User) (user.User, error) {
	if u.ID == "" {
		u.ID = uuid.NewString()
	}
	if u.CreatedAt.IsZero() {
		u.CreatedAt = at(l.now())
	}
	return read(ctx, l.db, "create user", func(ctx context.Context, x execer) (user.User, error) {
		_, err := x.ExecContext(ctx,
			`INSERT INTO users (`+userColumns+`) VALUES (?, ?, ?, ?, ?, ?)`,
			u.ID, u.Email, u.PasswordHash, flag(u.Admin), flag(u.Disabled), u.CreatedAt.UnixMilli())
		if !duplicate(err) {
			return u, err
		}
		there, err := readUser(ctx, x, `email = ?`, u.Email)
		if fail.Is(err, fail.NotFound) || (err == nil && there.ID != u.ID) {
			err = fail.New(fail.Exists, "There is an account with this address already.")
		}
		return there, err
	})
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
	return read(ctx, l.db, "read user", func(ctx context.Context, x execer) (user.User, error) {
		return readUser(ctx, x, where, arg)
	})
}

const userColumns = `id, email, password_hash, admin, disabled, created_at`

func readUser(ctx context.Context, x execer, where, arg string) (user.User, error) {
	u, err := scanUser(x.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE `+where, arg))
	if errors.Is(err, sql.ErrNoRows) {
		return user.User{}, fail.New(fail.NotFound, "There is no such user.")
	}
	return u, err
}

// scanUser reads userColumns of a row.
func scanUser(row interface{ Scan(to ...any) error }) (user.User, error) {
	var (
		u               user.User
		created         int64
		admin, disabled int
	)
	if err := row.Scan(&u.ID, &u.Email, &u.PasswordHash, &admin, &disabled, &created); err != nil {
		return user.User{}, err
	}
	u.Admin, u.Disabled, u.CreatedAt = admin != 0, disabled != 0, at(created)
	return u, nil
}

// IsAdmin reports whether a user is an administrator and not disabled. What a
// token says of that was so when it was issued.
func (l *Ledger) IsAdmin(ctx context.Context, id string) (bool, error) {
	u, err := l.UserByID(ctx, id)
	if fail.Is(err, fail.NotFound) {
		return false, nil
	}
	return u.Admin && !u.Disabled, err
}

// HasAdmin reports whether any administrator exists.
func (l *Ledger) HasAdmin(ctx context.Context) (bool, error) {
	return read(ctx, l.db, "count administrators", func(ctx context.Context, x execer) (bool, error) {
		var n int
		err := x.QueryRowContext(ctx, `SELECT COUNT(*) FROM users WHERE admin = 1`).Scan(&n)
		return n > 0, err
	})
}
