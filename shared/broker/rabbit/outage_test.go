package rabbit_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/rabbit"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// patience bounds every wait for something that should happen.
const patience = time.Minute

func event(id string) broker.Message {
	e := cloudevents.New()
	e.SetID(id)
	e.SetType("dev.test.a")
	e.SetSource("/test")
	return broker.Message{Event: e}
}

// quietly opens a queue that does not log.
func quietly(t testing.TB, address string) *rabbit.Queue {
	t.Helper()
	q, err := rabbit.Open(address, rabbit.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// consume consumes as the broker does: again whenever it ends with an error.
// The function that it returns stops it.
func consume(t *testing.T, q *rabbit.Queue, queue string, limit int, handle func(broker.Delivery)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			if err := q.Consume(ctx, queue, limit, handle); err != nil && !fail.Is(err, fail.Unavailable) {
				t.Errorf("consume %s: %v", queue, err)
			}
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	return stop
}

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// until calls f until it returns nil.
func until(t *testing.T, what string, f func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// set is a set of ids that tests may change from many goroutines.
type set struct {
	mu  sync.Mutex
	ids map[string]bool
	new chan struct{} // gets a value after an addition, or after several
}

func newSet() *set { return &set{ids: map[string]bool{}, new: make(chan struct{}, 1)} }

func (s *set) add(id string) {
	s.mu.Lock()
	s.ids[id] = true
	s.mu.Unlock()
	select {
	case s.new <- struct{}{}:
	default:
	}
}

// missing returns those of the other set that are not in this one.
func (s *set) missing(of *set) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of.mu.Lock()
	defer of.mu.Unlock()
	for id := range of.ids {
		if !s.ids[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// settle waits until the server has written down which queues it has. Killed
// within half a second after the first declaration of a queue, RabbitMQ 3.10
// forgets the log of that queue and never elects a leader for it.
func settle(t *testing.T, server *servers.Server) {
	t.Helper()
	if err := server.Control(t.Context(), "eval", "[ok = dets:sync(T) || T <- dets:all()]."); err != nil {
		t.Fatal(err)
	}
}

// TestAKilledServerLosesNothing lets publishers and consumers work while the
// server is killed again and again. A fifth of the deliveries is retried with
// a delay, and each is followed by an event in another queue.
func TestAKilledServerLosesNothing(t *testing.T) {
	const kills, publishers = 2, 4
	const delay = 50 * time.Millisecond
	server := servers.StartRabbit(t)
	q := quietly(t, server.URL())
	for _, queue := range []string{"a", "b"} {
		if err := q.Prepare(t.Context(), queue, delay); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, server)
	published, first, second := newSet(), newSet(), newSet()
	consume(t, q, "a", 8, func(d broker.Delivery) {
		m := d.Message()
		if m.Attempt == 0 && rand.IntN(5) == 0 {
			_ = d.Retry(context.Background(), delay)
			return
		}
		first.add(m.Event.ID())
		_ = d.Ack(context.Background(), broker.Publication{Message: event(m.Event.ID()), Queues: []string{"b"}})
	})
	consume(t, q, "b", 8, func(d broker.Delivery) {
		second.add(d.Message().Event.ID())
		_ = d.Ack(context.Background())
	})

	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for p := range publishers {
		working.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%d-%d", p, i)
				if q.Publish(ctx, event(id), "a") == nil {
					published.add(id)
				}
			}
		})
	}
	for range kills {
		for range 50 {
			next(t, second.new)
		}
		server.Kill()
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		next(t, second.new)
	}
	cancel()
	working.Wait()
	for len(first.missing(published))+len(second.missing(published)) > 0 {
		select {
		case <-second.new:
		case <-time.After(patience):
			t.Fatalf("of %d published %d did not come, and %d did not follow", len(published.ids), len(first.missing(published)), len(second.missing(published)))
		}
	}
	t.Logf("%d messages over %d kills, all of them delivered", len(published.ids), kills)
}

func TestAServerThatIsAway(t *testing.T) {
	server := servers.StartRabbit(t)
	q := quietly(t, server.URL())
	if err := q.Publish(t.Context(), event("before"), "q"); err != nil {
		t.Fatal(err)
	}
	fails := func(how string, within time.Duration) {
		t.Helper()
		for what, f := range map[string]func() error{
			"Ready":   func() error { return q.Ready(t.Context()) },
			"Publish": func() error { return q.Publish(t.Context(), event("lost"), "q", "r") },
			"Consume": func() error { return q.Consume(t.Context(), "new", 1, func(broker.Delivery) {}) },
		} {
			start := time.Now()
			if err := f(); !fail.Is(err, fail.Unavailable) || time.Since(start) > within {
				t.Errorf("%s: %s: got %v after %v, want an unavailable error within %v", how, what, err, time.Since(start), within)
			}
		}
	}
	server.Pause()
	fails("a server that hangs", 12*time.Second)
	server.Resume()
	until(t, "the server goes on", func() error { return q.Ready(t.Context()) })
	settle(t, server)
	server.Kill()
	fails("a server that is gone", 6*time.Second)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	if err := q.Publish(ctx, event("nobody waits"), "q"); !fail.Is(err, fail.Unavailable) || time.Since(start) > time.Second {
		t.Errorf("with a context that has ended: got %v after %v, want an error at once", err, time.Since(start))
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the server is back", func() error { return q.Ready(t.Context()) })
	got := make(chan string, 99)
	consume(t, q, "q", 1, func(d broker.Delivery) {
		got <- d.Message().Event.ID()
		_ = d.Ack(context.Background())
	})
	if id := next(t, got); id != "before" {
		t.Errorf("got %q, want the message from before", id)
	}
}

func TestAServerThatTakesNoMessages(t *testing.T) {
	server := servers.StartRabbit(t)
	q := quietly(t, server.URL())
	got := make(chan string, 99)
	held, release := make(chan bool), make(chan bool)
	var retried atomic.Bool
	consume(t, q, "q", 2, func(d broker.Delivery) {
		id := d.Message().Event.ID()
		switch {
		case id == "acknowledged":
			held <- true
			<-release
			got <- fmt.Sprint(d.Ack(context.Background()))
		case id == "retried" && !retried.Swap(true):
			held <- true
			<-release
			got <- fmt.Sprint(fail.Is(d.Retry(context.Background(), 0), fail.Unavailable))
		default:
			got <- fmt.Sprintf("%s/%d again", id, d.Message().Attempt)
			_ = d.Ack(context.Background())
		}
	})
	for _, id := range []string{"acknowledged", "retried"} {
		if err := q.Publish(t.Context(), event(id), "q"); err != nil {
			t.Fatal(err)
		}
		next(t, held)
	}
	if err := server.Control(t.Context(), "set_vm_memory_high_watermark", "0.000001"); err != nil {
		t.Fatal(err)
	}
	// The server says so when something is published.
	until(t, "the alarm", func() error {
		if q.Publish(t.Context(), event("maybe"), "other") == nil {
			return fmt.Errorf("messages are still taken")
		}
		return nil
	})
	start := time.Now()
	if err := q.Publish(t.Context(), event("refused"), "other"); !fail.Is(err, fail.Unavailable) || time.Since(start) > time.Second {
		t.Errorf("Publish: got %v after %v, want an unavailable error at once", err, time.Since(start))
	}
	if err := q.Ready(t.Context()); !fail.Is(err, fail.Unavailable) {
		t.Errorf("Ready: got %v, want an unavailable error", err)
	}
	close(release)
	// What needs no publication is still acknowledged; the other one is kept.
	if a, b := next(t, got), next(t, got); a != "<nil>" && b != "<nil>" || a != "true" && b != "true" {
		t.Errorf("got %s and %s, want an acknowledgement and an error", a, b)
	}
	select {
	case s := <-got:
		t.Errorf("got %s while nothing can be published", s)
	case <-time.After(1500 * time.Millisecond):
	}
	if err := server.Control(t.Context(), "set_vm_memory_high_watermark", "0.8"); err != nil {
		t.Fatal(err)
	}
	if s := next(t, got); s != "retried/0 again" {
		t.Errorf("got %q, want the message that could not be retried", s)
	}
	until(t, "the alarm is over", func() error { return q.Ready(t.Context()) })
	if err := q.Publish(t.Context(), event("later"), "other"); err != nil {
		t.Error(err)
	}
}
