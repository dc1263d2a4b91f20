package ledger

import (
	"context"
	"database/sql"
	"net/url"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// openSQLite opens the file and brings its tables up to date.
func openSQLite(ctx context.Context, path string) (*database, error) {
	pool, err := sql.Open("sqlite", sqliteDSN(path))
	if err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "open ledger")
	}
	pool.SetMaxOpenConns(4)
	if err := migrateSQLite(ctx, pool); err != nil {
		_ = pool.Close()
		return nil, err
	}
	return &database{pool: pool}, nil
}

// sqliteDSN asks for what keeps a committed change through a crash of the
// process and of the machine, and makes writers wait for one another instead
// of failing. Transactions begin as writers, so that none fails half-way.
func sqliteDSN(path string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	}}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}
