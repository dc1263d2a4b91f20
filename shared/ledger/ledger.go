// Package ledger keeps users and jobs in a SQL database, and decides: every
// change of a job's state is one compare-and-set here, so that events may
// come late, twice or ten at once. The broker only carries.
//
// All errors have a kind of package fail; one of the database itself is
// fail.Unavailable. Times are UTC, kept in milliseconds. A Ledger is safe for
// concurrent use, by many processes.
package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Ledger is an open database of users and jobs.
type Ledger struct {
	// Now is the clock; time.Now unless a test puts another.
	Now func() time.Time

	db      *sql.DB
	changes changes
}

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the database at address and brings its tables up to date. The
// scheme chooses the database: "sqlite:PATH" is a file, made if it is missing.
func Open(ctx context.Context, address string) (*Ledger, error) {
	scheme, path, ok := strings.Cut(address, ":")
	if !ok || scheme != "sqlite" || path == "" {
		return nil, fail.New(fail.Invalid, "ledger: unknown address, want sqlite:PATH")
	}
	db, err := sql.Open("sqlite", sqliteDSN(path))
	if err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "open ledger")
	}
	db.SetMaxOpenConns(4)
	l := &Ledger{Now: time.Now, db: db, changes: changes{next: make(chan struct{})}}
	if err := l.migrate(ctx, goose.DialectSQLite3); err != nil {
		_ = db.Close()
		return nil, err
	}
	return l, nil
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

func (l *Ledger) migrate(ctx context.Context, dialect goose.Dialect) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fail.Wrap(fail.Internal, err, "read migrations")
	}
	p, err := goose.NewProvider(dialect, l.db, dir, goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fail.Wrap(fail.Internal, err, "read migrations")
	}
	if _, err := p.Up(ctx); err != nil {
		return fail.Wrap(fail.Unavailable, err, "migrate ledger")
	}
	return nil
}

// Ready reports whether the database answers.
func (l *Ledger) Ready(ctx context.Context) error {
	return fail.Wrap(fail.Unavailable, l.db.PingContext(ctx), "reach ledger")
}

// Close closes the database.
func (l *Ledger) Close() error { return l.db.Close() }

func (l *Ledger) now() int64 { return l.Now().UnixMilli() }

// tx runs do in a transaction and commits it if do returns no error.
func (l *Ledger) tx(ctx context.Context, what string, do func(*sql.Tx) error) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "%s", what)
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	if err := do(tx); err != nil {
		return kind(err, what)
	}
	return fail.Wrap(fail.Unavailable, tx.Commit(), "%s", what)
}

// kind keeps the kind of an error that has one; what the database says
// becomes fail.Unavailable.
func kind(err error, what string) error {
	if e := (*fail.Error)(nil); err == nil || errors.As(err, &e) {
		return err
	}
	return fail.Wrap(fail.Unavailable, err, "%s", what)
}

// execer is a database or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// changed runs a statement and returns how many rows it changed.
func changed(ctx context.Context, x execer, query string, args ...any) (int64, error) {
	res, err := x.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
