package ledger

import (
	"context"
	"database/sql"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// OriginalUser is a row of the table user that the original system kept its
// accounts in, as it is there.
type OriginalUser struct {
	ID       int64
	Email    string // empty for NULL, as the password
	Password string // in plain text
}

// originalPage is how many rows are read at once: few enough that no answer
// is waited for while their passwords are hashed.
const originalPage = 500

// OriginalUsers hands take the rows of the original system's table user in the
// MySQL database at address, a page at a time, in the order of their ids. It
// only reads. An address that Open would refuse is fail.Invalid; an error of
// take ends it and is returned.
func OriginalUsers(ctx context.Context, address string, take func([]OriginalUser) error) error {
	config, _, err := mysqlConfig(address)
	if err != nil {
		return err
	}
	pool, err := mysqlPool(config, 1)
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	for after := (sql.NullInt64{}); ; {
		page, err := originalUsers(ctx, pool, after)
		if err != nil {
			return fail.Wrap(fail.Unavailable, err, "read the original system's users")
		}
		if len(page) == 0 {
			return nil
		}
		if err := take(page); err != nil {
			return err
		}
		after = sql.NullInt64{Int64: page[len(page)-1].ID, Valid: true}
	}
}

// originalUsers reads the page that begins after the id.
func originalUsers(ctx context.Context, x execer, after sql.NullInt64) ([]OriginalUser, error) {
	ctx, cancel := context.WithTimeout(ctx, operationWithin)
	defer cancel()
	rows, err := x.QueryContext(ctx,
		"SELECT id, COALESCE(email, ''), COALESCE(password, '') FROM `user` WHERE ? IS NULL OR id > ? ORDER BY id LIMIT ?",
		after, after, originalPage)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var page []OriginalUser
	for rows.Next() {
		var u OriginalUser
		if err := rows.Scan(&u.ID, &u.Email, &u.Password); err != nil {
			return nil, err
		}
		page = append(page, u)
	}
	return page, rows.Err()
}
