package sqlqueue

import (
	"context"
	"database/sql"
)

// maxBatch bounds how many changes share a transaction.
const maxBatch = 256

// change is what an op does in a transaction.
type change func(context.Context, *sql.Tx) error

// op is a change that waits to be written.
type op struct {
	change change     // may run more than once; only the last run counts
	wake   []string   // queues that it puts messages into
	result chan error // gets one value
}

// do writes a change durably. When ctx ends first its error is returned, and
// the change may still be written.
func (q *Queue) do(ctx context.Context, wake []string, c change) error {
	o := &op{change: c, wake: wake, result: make(chan error, 1)}
	select {
	case <-q.done:
		return errClosed
	default:
	}
	select {
	case q.ops <- o:
	case <-ctx.Done():
		return ctx.Err()
	case <-q.done:
		return errClosed
	}
	select {
	case err := <-o.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the only writer. While it waits for the disk the next changes
// gather; it then takes all of them at once.
func (q *Queue) write() {
	defer close(q.idle)
	var batch []*op
	for {
		select {
		case o := <-q.ops:
			batch = q.gather(append(batch[:0], o))
			q.apply(batch)
		case <-q.done:
			return
		}
	}
}

// apply writes a batch, and each change by itself where they fail together:
// a bad one must not spoil the others.
func (q *Queue) apply(batch []*op) {
	if q.commit(batch) == nil {
		q.report(batch, nil)
		return
	}
	for i := range batch {
		q.report(batch[i:i+1], q.commit(batch[i:i+1]))
	}
}

func (q *Queue) gather(batch []*op) []*op {
	for len(batch) < maxBatch {
		select {
		case o := <-q.ops:
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

func (q *Queue) commit(batch []*op) error {
	// No context of a caller: its end would roll back what others wrote.
	ctx := context.Background()
	tx, err := q.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, o := range batch {
		if err := o.change(ctx, tx); err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		// SQLite may keep a transaction open whose commit has failed, and
		// database/sql takes it for ended.
		_, _ = q.db.ExecContext(ctx, "rollback")
		return err
	}
	return nil
}

func (q *Queue) report(batch []*op, err error) {
	for _, o := range batch {
		if err == nil {
			q.wake(o.wake)
		}
		o.result <- err
	}
}
