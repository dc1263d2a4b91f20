package rabbit

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const (
	connectIn = 5 * time.Second  // for a connection to be made, and for a caller to wait for one
	answerIn  = 5 * time.Second  // for the server to answer a call
	writeIn   = 10 * time.Second // for the server to take what is written
	heartbeat = 10 * time.Second // a server that is silent three times as long is gone

	minPause = 100 * time.Millisecond // between two attempts to connect
	maxPause = 5 * time.Second
)

var errClosed = fail.New(fail.Unavailable, "The queue is closed.")

// line is a way to the server: a connection that is made when somebody asks
// for it, and again after it was lost.
type line struct {
	server string // address
	name   string // what the server shows of it
	log    *slog.Logger

	mu      sync.Mutex
	current *link         // may be lost; nil before the first
	trying  chan struct{} // closed when the attempt under way has ended; nil: there is none
	failed  int           // attempts in a row
	err     error         // of the last of them

	done    chan struct{} // closed by close
	stop    sync.Once
	working sync.WaitGroup
}

func newLine(server, name string, log *slog.Logger) *line {
	return &line{server: server, name: name, log: log, done: make(chan struct{})}
}

// get returns a connection that was alive a moment ago. It waits for one
// until ctx is done, for connectIn at most; then it is fail.Unavailable.
func (l *line) get(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, connectIn)
	defer cancel()
	for {
		current, attempt, err := l.look()
		if current != nil || err != nil {
			return current, err
		}
		select {
		case <-attempt:
		case <-ctx.Done():
			return nil, l.away()
		}
	}
}

// look returns the living connection or else the attempt to make one, which
// it begins if need be.
func (l *line) look() (*link, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return nil, nil, errClosed
	default:
	}
	if l.current != nil && !l.current.IsClosed() {
		return l.current, nil, nil
	}
	if l.trying == nil {
		l.trying = make(chan struct{})
		wait := l.pause()
		l.working.Go(func() { l.try(wait) })
	}
	return nil, l.trying, nil
}

// pause is how long to wait before the next attempt: twice as long after each
// failure, and up to a half more by chance.
func (l *line) pause() time.Duration {
	if l.failed == 0 {
		return 0
	}
	shortest := min(minPause<<min(l.failed-1, 10), maxPause*2/3)
	return shortest + rand.N(shortest/2) //nolint:gosec // chance, no secret
}

// away says why there is no connection.
func (l *line) away() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		return fail.New(fail.Unavailable, "RabbitMQ does not answer.")
	}
	return fail.Wrap(fail.Unavailable, l.err, "connect to RabbitMQ")
}

// try makes one attempt, after a while.
func (l *line) try(wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var made *link
	err := errClosed
	select {
	case <-timer.C:
		made, err = l.connect()
	case <-l.done:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.trying)
	l.trying, l.err = nil, err
	if err != nil {
		l.failed++
		return
	}
	l.failed, l.current = 0, made
}

// connect makes a connection.
func (l *line) connect() (*link, error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectIn)
	defer cancel()
	var socket net.Conn
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(l.name)
	conn, err := amqp.DialConfig(l.server, amqp.Config{
		Heartbeat: heartbeat, Properties: properties,
		Dial: func(network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			socket = c
			// For the handshakes; it is lifted after them.
			until, _ := ctx.Deadline()
			return &impatient{c}, c.SetDeadline(until)
		},
	})
	if err != nil {
		if socket != nil {
			_ = socket.Close()
		}
		return nil, err
	}
	k := &link{Connection: conn, socket: socket, line: l, posts: map[string]*post{}, blocked: make(chan struct{})}
	notices := conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	l.working.Go(func() { l.watch(k, notices) })
	return k, nil
}

// watch keeps account of whether the server takes messages, until the
// connection ends.
func (l *line) watch(k *link, notices <-chan amqp.Blocking) {
	for b := range notices {
		if b.Active {
			l.log.Warn("RabbitMQ takes no messages", "reason", b.Reason)
		} else {
			l.log.Info("RabbitMQ takes messages again")
		}
		k.block(b.Active, b.Reason)
	}
}

// begin runs f, for close to wait for; it is errClosed after that.
func (l *line) begin(f func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return errClosed
	default:
		l.working.Go(f)
		return nil
	}
}

// close ends the connection and waits for all that belongs to it.
func (l *line) close() {
	l.stop.Do(func() {
		l.mu.Lock()
		close(l.done)
		current, trying := l.current, l.trying
		l.mu.Unlock()
		if trying != nil {
			<-trying
			l.mu.Lock()
			current = l.current
			l.mu.Unlock()
		}
		if current != nil {
			timer := time.AfterFunc(answerIn, func() { _ = current.socket.Close() })
			_ = current.Close()
			timer.Stop()
		}
		l.working.Wait()
	})
}

// link is one connection.
type link struct {
	*amqp.Connection
	socket net.Conn
	line   *line

	mu      sync.Mutex
	posts   map[string]*post // by exchange and place
	blocked chan struct{}    // closed while the server takes no messages
	reason  string           // for that; empty while it does
}

func (k *link) block(active bool, reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.reason != ""
	switch {
	case active:
		k.reason = "blocked: " + reason
		if !was {
			close(k.blocked)
		}
	case was:
		k.reason, k.blocked = "", make(chan struct{})
	}
}

// refusal returns a channel that is closed once the server takes no more
// messages, and an error where that is so now.
func (k *link) refusal() (<-chan struct{}, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.reason != "" {
		return k.blocked, fail.New(fail.Unavailable, "RabbitMQ takes no messages: %s.", k.reason)
	}
	return k.blocked, nil
}

// call makes calls to the server, which cannot be told how long they may
// take: after answerIn they are left to themselves, and late is called once
// they have succeeded. The connection is not cut for them, as they may wait
// for a single queue that has no leader.
func (k *link) call(do func() error, late func()) error {
	made, given := make(chan error), make(chan struct{})
	err := k.line.begin(func() {
		err := do()
		select {
		case made <- err:
		case <-given:
			if err == nil {
				late()
			}
		}
	})
	if err != nil {
		return err
	}
	timer := time.NewTimer(answerIn)
	defer timer.Stop()
	select {
	case err := <-made:
		return err
	case <-timer.C:
		close(given)
		return fmt.Errorf("no answer within %v", answerIn)
	}
}

// open opens a channel and sets it up.
func (k *link) open(setUp func(*amqp.Channel) error) (*amqp.Channel, error) {
	var ch *amqp.Channel
	err := k.call(func() (err error) {
		if ch, err = k.Channel(); err != nil {
			return err
		}
		if err = setUp(ch); err != nil {
			_ = ch.Close()
		}
		return err
	}, func() { _ = ch.Close() })
	if err != nil {
		return nil, err
	}
	return ch, nil
}

// impatient is a connection that fails when the other side does not read.
type impatient struct{ net.Conn }

func (c *impatient) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeIn)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
