// Package sqlqueue is the embedded broker.Queue: messages in one SQLite file,
// kept by goqite.
package sqlqueue

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/binary"
	"math"
	"net/url"
	"sync"
	"time"

	"maragu.dev/goqite"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// invisible is how long a message that a handler has is withheld from others:
// for good. A queue and its handlers live and die in one process, so no
// handler can be lost while the queue goes on, and Open makes the messages of
// the last process visible again. A shorter time with heartbeats would only
// add writes, and a second delivery whenever the machine was suspended.
const invisible = 100 * 365 * 24 * time.Hour

// timeFormat is how goqite writes times.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

//go:embed schema.sql
var schema string

var errClosed = fail.New(fail.Unavailable, "The queue is closed.")

// Queue is a broker.Queue in a SQLite file. Every change is synced to disk
// before it is reported as done; changes that come at the same time share one
// transaction and one sync.
type Queue struct {
	db   *sql.DB
	ops  chan *op
	done chan struct{} // closed by Close
	idle chan struct{} // closed when the writer has ended
	stop sync.Once

	mu      sync.Mutex
	queues  map[string]*goqite.Queue
	waiting map[string]map[chan struct{}]bool // per queue: who is to be woken
}

// Open opens or makes the queue file at path, for this process alone: while
// it is open, Open of the same file fails with fail.Unavailable. Messages
// that were with a handler when the last process ended are delivered again,
// with the Attempt they had. ctx bounds the opening only.
func Open(ctx context.Context, path string) (*Queue, error) {
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"locking_mode(EXCLUSIVE)", "busy_timeout(1000)", "journal_mode(WAL)", "synchronous(FULL)"},
	}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "open the queue %s", path)
	}
	// One connection: it holds the lock on the file.
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, schema+`update goqite set timeout = created, received = 0 where received > 0`)
	if err != nil {
		_ = db.Close()
		return nil, fail.Wrap(fail.Unavailable, err, "open the queue %s; does another process have it open?", path)
	}
	q := &Queue{
		db: db, ops: make(chan *op), done: make(chan struct{}), idle: make(chan struct{}),
		queues: map[string]*goqite.Queue{}, waiting: map[string]map[chan struct{}]bool{},
	}
	go q.write()
	return q, nil
}

// Close ends what is being written and closes the file. What was not
// finished is delivered again after the next Open.
func (q *Queue) Close() error {
	var err error
	q.stop.Do(func() {
		close(q.done)
		<-q.idle
		err = fail.Wrap(fail.Unavailable, q.db.Close(), "close the queue")
	})
	return err
}

// Publish implements broker.Queue.
func (q *Queue) Publish(ctx context.Context, m broker.Message, queues ...string) error {
	if len(queues) == 0 {
		return nil
	}
	err := q.do(ctx, queues, func(ctx context.Context, tx *sql.Tx) error {
		return q.send(ctx, tx, m, 0, queues)
	})
	return fail.Wrap(fail.Unavailable, err, "publish to %d queues", len(queues))
}

func (q *Queue) send(ctx context.Context, tx *sql.Tx, m broker.Message, after time.Duration, queues []string) error {
	body, err := encode(m)
	if err != nil {
		return err
	}
	for _, name := range queues {
		err := q.named(name).SendTx(ctx, tx, goqite.Message{Body: body, Delay: max(after, 0)})
		if err != nil {
			return err
		}
	}
	return nil
}

// encode makes what the table keeps of a message: the attempt as a varint,
// then the event in structured JSON.
func encode(m broker.Message) ([]byte, error) {
	// Not json.Marshal, which would change the white space of JSON data.
	text, err := m.Event.MarshalJSON()
	if err != nil {
		return nil, fail.Wrap(fail.Invalid, err, "encode event")
	}
	return append(binary.AppendVarint(nil, int64(m.Attempt)), text...), nil
}

func decode(body []byte) (broker.Message, error) {
	attempt, n := binary.Varint(body)
	if n <= 0 {
		return broker.Message{}, fail.New(fail.Invalid, "The message does not begin with its attempt.")
	}
	m := broker.Message{Attempt: int(attempt)}
	return m, fail.Wrap(fail.Invalid, m.Event.UnmarshalJSON(body[n:]), "decode event")
}

func (q *Queue) named(name string) *goqite.Queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.queues[name]
	if g == nil {
		// goqite hides a message that was received MaxReceive times: never.
		g = goqite.New(goqite.NewOpts{DB: q.db, Name: name, MaxReceive: math.MaxInt32, Timeout: invisible})
		q.queues[name] = g
	}
	return g
}

// subscribe returns a channel that gets a value after each change that puts a
// message into the queue, or one value for several changes.
func (q *Queue) subscribe(queue string) chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := make(chan struct{}, 1)
	if q.waiting[queue] == nil {
		q.waiting[queue] = map[chan struct{}]bool{}
	}
	q.waiting[queue][c] = true
	return c
}

func (q *Queue) unsubscribe(queue string, c chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waiting[queue], c)
}

func (q *Queue) wake(queues []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, name := range queues {
		for c := range q.waiting[name] {
			select {
			case c <- struct{}{}:
			default: // it has one to come already
			}
		}
	}
}
