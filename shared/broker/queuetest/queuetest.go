// Package queuetest is the conformance suite of broker.Queue: what its doc
// comments promise, as tests.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
)

// patience bounds every wait for something that should happen.
const patience = 10 * time.Second

// quiet is how long nothing must happen before a test believes that nothing
// will.
const quiet = 150 * time.Millisecond

// Run runs the suite. open opens the queue at a place, which is the path of
// an empty folder at first and the same one again after Close.
func Run(t *testing.T, open func(t *testing.T, place string) broker.Queue) {
	t.Helper()
	tests := []struct {
		name string
		test func(*fixture)
	}{
		{"a published message is delivered once", delivered},
		{"each of several queues gets the message", severalQueues},
		{"no queues is no error", noQueues},
		{"an event comes back as it was", faithful},
		{"an acknowledged message is gone for good", acknowledged},
		{"an unfinished message comes again after Close", unfinishedAfterClose},
		{"a message left unfinished is returned", leftUnfinished},
		{"Return counts no attempt", returned},
		{"Retry counts an attempt and waits", retried},
		{"Retry survives Close", retrySurvives},
		{"Ack publishes what follows", follows},
		{"a delivery can be finished once", finishedOnce},
		{"a delivery is with one handler only", exclusive},
		{"the limit is reached and kept", limited},
		{"a waiting consumer is woken", woken},
		{"the end of the context waits for handlers", waitsForHandlers},
		{"many publishers and consumers lose nothing", busy},
		{"after Close every call fails", closed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{T: t, place: t.TempDir(), open: open}
			f.q = open(t, f.place)
			t.Cleanup(func() {
				f.stop()
				_ = f.q.Close()
			})
			tt.test(f)
		})
	}
}

// fixture is an open queue and the consumers of one test.
type fixture struct {
	*testing.T
	place string
	open  func(*testing.T, string) broker.Queue
	q     broker.Queue
	ends  []func()
}

func (f *fixture) reopen() {
	f.Helper()
	f.stop()
	if err := f.q.Close(); err != nil {
		f.Fatal("close:", err)
	}
	f.q = f.open(f.T, f.place)
}

// message is one with an event of the id.
func message(id string) broker.Message {
	e := cloudevents.New()
	e.SetID(id)
	e.SetType("dev.test.a")
	e.SetSource("/test")
	return broker.Message{Event: e}
}

func (f *fixture) publish(id string, queues ...string) {
	f.Helper()
	if err := f.q.Publish(f.Context(), message(id), queues...); err != nil {
		f.Fatalf("publish %q: %v", id, err)
	}
}

// consume starts a consumer; the function it returns stops it and waits.
func (f *fixture) consume(queue string, limit int, handle func(broker.Delivery)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.q.Consume(ctx, queue, limit, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				f.Errorf("consume %s: %v", queue, err)
			}
		case <-time.After(patience):
			f.Errorf("consume %s did not end", queue)
		}
	})
	f.ends = append(f.ends, stop)
	return stop
}

func (f *fixture) stop() {
	for _, end := range f.ends {
		end()
	}
	f.ends = nil
}

// collect consumes and acknowledges, and passes on "id/attempt".
func (f *fixture) collect(queue string) <-chan string {
	got := make(chan string, 1000)
	f.consume(queue, 4, func(d broker.Delivery) {
		if err := d.Ack(context.Background()); err != nil {
			f.Error("ack:", err)
		}
		got <- describe(d)
	})
	return got
}

func describe(d broker.Delivery) string {
	return fmt.Sprintf("%s/%d", d.Message().Event.ID(), d.Message().Attempt)
}

// want takes as many values as given, in any order.
func want(f *fixture, got <-chan string, values ...string) {
	f.Helper()
	var have []string
	for range values {
		have = append(have, next(f, got))
	}
	slices.Sort(have)
	slices.Sort(values)
	if !slices.Equal(have, values) {
		f.Errorf("got %q, want %q", have, values)
	}
}

func next[T any](f *fixture, c <-chan T) T {
	f.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		f.Fatal("nothing came")
		panic("unreachable")
	}
}

func nothing[T any](f *fixture, c <-chan T) {
	f.Helper()
	select {
	case v := <-c:
		f.Errorf("got %v, want nothing", v)
	case <-time.After(quiet):
	}
}

func must(f *fixture, err error) {
	f.Helper()
	if err != nil {
		f.Error(err)
	}
}

func finishedOnce(f *fixture) {
	f.publish("a", "q")
	errs := make(chan error, 4)
	f.consume("q", 1, func(d broker.Delivery) {
		errs <- d.Ack(context.Background())
		errs <- d.Ack(context.Background())
		errs <- d.Retry(context.Background(), 0)
		errs <- d.Return(context.Background())
	})
	must(f, next(f, errs))
	for range 3 {
		if err := next(f, errs); !errors.Is(err, broker.ErrFinished) {
			f.Errorf("got %v, want ErrFinished", err)
		}
	}
	nothing(f, errs)
}
