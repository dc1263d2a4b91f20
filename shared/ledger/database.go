package ledger

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// database is the only way to the tables. Of a server it makes sure that they
// are there, bounds every operation, and tries again after an error that
// passes.
type database struct {
	pool    *sql.DB
	shared  bool          // by other processes, which may be anywhere
	within  time.Duration // bounds an operation with all its tries; 0 for no bound
	options *sql.TxOptions
	schema  *schema // nil where Open has prepared it
}

// Tries follow one another at growing intervals until retryFor is over: long
// enough for a deadlock, a connection that was cut, or a proxy that changes
// sides, short enough for who waits for the answer.
const (
	firstWait = 40 * time.Millisecond
	retryFor  = 2500 * time.Millisecond
)

// execer is a database or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// do runs f, each of whose statements commits by itself. f may be run more
// than once, also when it has had its effect and only the answer was lost: it
// must then change nothing more.
func (d *database) do(ctx context.Context, what string, f func(context.Context, execer) error) error {
	return d.retry(ctx, what, func(ctx context.Context) (bool, error) {
		return true, f(ctx, d.pool)
	})
}

// tx runs f in a transaction and commits it if f returns no error. f may be
// run more than once, but never after a commit that may have taken place: that
// is fail.Unavailable, for the caller to repeat.
func (d *database) tx(ctx context.Context, what string, f func(context.Context, execer) error) error {
	return d.retry(ctx, what, func(ctx context.Context) (bool, error) {
		tx, err := d.pool.BeginTx(ctx, d.options)
		if err != nil {
			return true, err
		}
		defer func() { _ = tx.Rollback() }() // no effect after Commit
		if err := f(ctx, tx); err != nil {
			return true, err
		}
		err = tx.Commit()
		return refused(err), err
	})
}

// retry calls try until it succeeds, fails for good or says that it must not
// be called again.
func (d *database) retry(ctx context.Context, what string, try func(context.Context) (again bool, err error)) error {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	began := time.Now()
	for wait := firstWait; ; wait *= 2 {
		again, err := true, d.schema.ready(ctx)
		if err == nil {
			again, err = try(ctx)
		}
		d.schema.doubt(err)
		if err == nil || !again || !passing(err) || time.Since(began)+wait > retryFor {
			return kind(err, what)
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)): // #nosec G404 -- only spreads what collided
		case <-ctx.Done():
			return kind(err, what)
		}
	}
}

// ready prepares what is missing and reports whether the database answers.
func (d *database) ready(ctx context.Context) error {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	err := d.schema.ready(ctx)
	if err == nil {
		err = d.pool.PingContext(ctx)
	}
	return kind(err, "reach ledger")
}

func (d *database) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.within == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.within)
}

func (d *database) close() error {
	d.schema.close()
	return d.pool.Close()
}

// read is do for what has a value.
func read[T any](ctx context.Context, d *database, what string, f func(context.Context, execer) (T, error)) (T, error) {
	var v T
	err := d.do(ctx, what, func(ctx context.Context, x execer) (err error) {
		v, err = f(ctx, x)
		return err
	})
	return v, err
}

// change runs one statement and returns how many rows it found to change.
func (d *database) change(ctx context.Context, what, query string, args ...any) (int64, error) {
	return read(ctx, d, what, func(ctx context.Context, x execer) (int64, error) {
		return changed(ctx, x, query, args...)
	})
}

// changed runs a statement and returns how many rows it found to change.
func changed(ctx context.Context, x execer, query string, args ...any) (int64, error) {
	res, err := x.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// kind keeps the kind of an error that has one; what the database says
// becomes fail.Unavailable.
func kind(err error, what string) error {
	if e := (*fail.Error)(nil); err == nil || errors.As(err, &e) {
		return err
	}
	return fail.Wrap(fail.Unavailable, err, "%s", what)
}
