package sqlqueue

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"maragu.dev/goqite"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const (
	maxWait   = 30 * time.Second       // between two looks at a queue, should the clock be changed
	returnGap = 200 * time.Millisecond // between two tries to return an unfinished message
)

// Consume implements broker.Queue.
func (q *Queue) Consume(ctx context.Context, queue string, limit int, handle func(broker.Delivery)) error {
	wake := q.subscribe(queue)
	defer q.unsubscribe(queue, wake)
	var handlers sync.WaitGroup
	defer handlers.Wait()
	slots := make(chan struct{}, limit)
	for {
		n := take(ctx, slots)
		if n == 0 {
			return nil
		}
		got, wait, err := q.receive(ctx, queue, n)
		for range n - len(got) {
			<-slots
		}
		for _, m := range got {
			handlers.Go(func() {
				defer func() { <-slots }()
				q.hand(context.WithoutCancel(ctx), queue, m, handle)
			})
		}
		if err != nil && ctx.Err() == nil {
			return fail.Wrap(fail.Unavailable, err, "receive from queue %s", queue)
		}
		if len(got) < n && !sleep(ctx, wake, wait) {
			return nil
		}
	}
}

// take waits for a free slot and takes all that are free; 0 once ctx is done.
func take(ctx context.Context, slots chan struct{}) int {
	if ctx.Err() != nil {
		return 0
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	for n := 1; ; n++ {
		select {
		case slots <- struct{}{}:
		default:
			return n
		}
	}
}

// sleep waits to be woken, at most for the given time; false once ctx is done.
func sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// receive takes up to n messages. When it finds fewer it also says how long
// to wait for the next delayed one. ctx bounds nothing once the change is
// under way: a message taken must reach a handler.
func (q *Queue) receive(ctx context.Context, queue string, n int) (got []*goqite.Message, wait time.Duration, err error) {
	g := q.named(queue)
	err = q.do(context.WithoutCancel(ctx), nil, func(ctx context.Context, tx *sql.Tx) error {
		got, wait = nil, maxWait
		for len(got) < n {
			m, err := g.ReceiveTx(ctx, tx)
			if err != nil {
				return err
			}
			if m == nil {
				wait, err = untilDue(ctx, tx, queue)
				return err
			}
			got = append(got, m)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return got, wait, nil
}

func untilDue(ctx context.Context, tx *sql.Tx, queue string) (time.Duration, error) {
	var due sql.NullString
	err := tx.QueryRowContext(ctx, `select min(timeout) from goqite where queue = ? and received = 0`, queue).Scan(&due)
	if err != nil || !due.Valid {
		return maxWait, err
	}
	at, err := time.Parse(timeFormat, due.String)
	if err != nil {
		return 0, err
	}
	return min(max(time.Until(at), 0)+time.Millisecond, maxWait), nil
}

// hand gives a message to the handler and returns it to the queue if it comes
// back unfinished, or leaves that to the next Open when the queue is closed.
// A message that cannot be read is dropped: it would never be read.
func (q *Queue) hand(ctx context.Context, queue string, m *goqite.Message, handle func(broker.Delivery)) {
	d := &delivery{q: q, queue: queue, id: m.ID}
	end := d.Return
	var err error
	if d.message, err = decode(m.Body); err != nil {
		slog.ErrorContext(ctx, "message dropped: it is no event", "queue", queue, "error", err)
		end = func(ctx context.Context) error { return d.Ack(ctx) }
	} else {
		handle(d)
	}
	for !d.finished.Load() && end(ctx) != nil {
		select {
		case <-q.done:
			return
		case <-time.After(returnGap):
		}
	}
}

type delivery struct {
	q        *Queue
	queue    string
	id       goqite.ID
	message  broker.Message
	mu       sync.Mutex // one end at a time
	finished atomic.Bool
}

func (d *delivery) Message() broker.Message { return d.message }

func (d *delivery) Ack(ctx context.Context, next ...broker.Publication) error {
	var wake []string
	for _, p := range next {
		wake = append(wake, p.Queues...)
	}
	return d.finish(ctx, "acknowledge", wake, func(ctx context.Context, tx *sql.Tx) error {
		for _, p := range next {
			if err := d.q.send(ctx, tx, p.Message, 0, p.Queues); err != nil {
				return err
			}
		}
		return d.delete(ctx, tx)
	})
}

func (d *delivery) Retry(ctx context.Context, after time.Duration) error {
	again := d.message
	again.Attempt++
	// Beyond that, goqite's times have five-digit years.
	after = min(after, invisible)
	return d.finish(ctx, "retry", []string{d.queue}, func(ctx context.Context, tx *sql.Tx) error {
		if err := d.q.send(ctx, tx, again, after, []string{d.queue}); err != nil {
			return err
		}
		return d.delete(ctx, tx)
	})
}

func (d *delivery) Return(ctx context.Context) error {
	return d.finish(ctx, "return", []string{d.queue}, func(ctx context.Context, tx *sql.Tx) error {
		return d.q.named(d.queue).ExtendTx(ctx, tx, d.id, 0)
	})
}

func (d *delivery) delete(ctx context.Context, tx *sql.Tx) error {
	return d.q.named(d.queue).DeleteTx(ctx, tx, d.id)
}

func (d *delivery) finish(ctx context.Context, what string, wake []string, c change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.finished.Load() {
		return broker.ErrFinished
	}
	if err := d.q.do(ctx, wake, c); err != nil {
		return fail.Wrap(fail.Unavailable, err, "%s a message of queue %s", what, d.queue)
	}
	d.finished.Store(true)
	return nil
}
