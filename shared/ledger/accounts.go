package ledger

import (
	"context"
	"errors"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

// Users returns accounts by their address, at most limit of them; after,
// unless empty, is the normalised address of the last one of the page before.
func (l *Ledger) Users(ctx context.Context, after string, limit int) ([]user.User, error) {
	return read(ctx, l.db, "list users", func(ctx context.Context, x execer) ([]user.User, error) {
		return readUsers(ctx, x, `email > ? ORDER BY email LIMIT ?`, after, limit)
	})
}

// UsersByID returns those of the accounts that there are.
func (l *Ledger) UsersByID(ctx context.Context, ids []string) ([]user.User, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	args := make([]any, 0, len(ids))
	for _, id := range ids {
		args = append(args, id)
	}
	return read(ctx, l.db, "read users", func(ctx context.Context, x execer) ([]user.User, error) {
		return readUsers(ctx, x, `id IN (`+marks(len(ids))+`)`, args...)
	})
}

// UserChange is what becomes of an account; nil leaves it as it is.
type UserChange struct {
	Admin    *bool
	Disabled *bool
}

// ChangeUser changes an account and returns it. fail.Exists where no
// administrator would be left who can log in: nothing is changed.
// fail.NotFound where there is no such account.
func (l *Ledger) ChangeUser(ctx context.Context, id string, c UserChange) (user.User, error) {
	var u user.User
	err := l.db.tx(ctx, "change user", func(ctx context.Context, tx execer) (err error) {
		// A change locks all of them, so that no two demote one another.
		if _, err := changed(ctx, tx, `UPDATE users SET admin = admin WHERE admin = 1`); err != nil {
			return err
		}
		if u, err = readUser(ctx, tx, `id = ?`, id); err != nil {
			return err
		}
		was := u.Admin && !u.Disabled
		if c.Admin != nil {
			u.Admin = *c.Admin
		}
		if c.Disabled != nil {
			u.Disabled = *c.Disabled
		}
		if _, err := changed(ctx, tx, `UPDATE users SET admin = ?, disabled = ? WHERE id = ?`, flag(u.Admin), flag(u.Disabled), id); err != nil {
			return err
		}
		var left int
		err = tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM users WHERE admin = 1 AND disabled = 0`).Scan(&left)
		if err == nil && was && left == 0 {
			err = fail.New(fail.Exists, "This is the last administrator who can log in; make another one first.")
		}
		return err
	})
	if err != nil {
		return user.User{}, err
	}
	return u, nil
}

// SetPassword gives an account another password hash and returns the account;
// fail.NotFound where there is none.
func (l *Ledger) SetPassword(ctx context.Context, id, hash string) (user.User, error) {
	return read(ctx, l.db, "set password", func(ctx context.Context, x execer) (user.User, error) {
		if _, err := changed(ctx, x, `UPDATE users SET password_hash = ? WHERE id = ?`, hash, id); err != nil {
			return user.User{}, err
		}
		return readUser(ctx, x, `id = ?`, id)
	})
}

func readUsers(ctx context.Context, x execer, where string, args ...any) (users []user.User, err error) {
	rows, err := x.QueryContext(ctx, `SELECT `+userColumns+` FROM users WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		u, err := scanUser(rows)
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, rows.Err()
}
