package queuetest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
)

func delivered(f *fixture) {
	f.publish("before", "q")
	got := f.collect("q")
	want(f, got, "before/0")
	f.publish("after", "q")
	want(f, got, "after/0")
	nothing(f, got)
}

func severalQueues(f *fixture) {
	f.publish("a", "one", "two")
	one := f.collect("one")
	want(f, one, "a/0")
	f.reopen()
	want(f, f.collect("two"), "a/0")
	nothing(f, f.collect("one"))
	nothing(f, f.collect("three"))
}

func noQueues(f *fixture) {
	f.publish("a")
	nothing(f, f.collect("q"))
}

func acknowledged(f *fixture) {
	f.publish("a", "q")
	want(f, f.collect("q"), "a/0")
	f.reopen()
	nothing(f, f.collect("q"))
}

func unfinishedAfterClose(f *fixture) {
	f.publish("waiting", "never consumed")
	f.publish("held", "q")
	held, release := make(chan bool, 1), make(chan bool)
	stop := f.consume("q", 1, func(broker.Delivery) {
		held <- true
		<-release
	})
	next(f, held)
	close(release)
	stop()
	f.reopen()
	want(f, f.collect("q"), "held/0")
	want(f, f.collect("never consumed"), "waiting/0")
}

func leftUnfinished(f *fixture) {
	f.publish("a", "q")
	var calls atomic.Int32
	got := make(chan string, 9)
	f.consume("q", 1, func(d broker.Delivery) {
		if calls.Add(1) < 3 {
			return
		}
		must(f, d.Ack(context.Background()))
		got <- describe(d)
	})
	want(f, got, "a/0")
	nothing(f, got)
}

func returned(f *fixture) {
	f.publish("a", "q")
	var calls atomic.Int32
	got := make(chan string, 9)
	f.consume("q", 1, func(d broker.Delivery) {
		got <- describe(d)
		if calls.Add(1) == 1 {
			must(f, d.Return(context.Background()))
			return
		}
		must(f, d.Ack(context.Background()))
	})
	want(f, got, "a/0", "a/0")
	nothing(f, got)
}

func retried(f *fixture) {
	const wait = 300 * time.Millisecond
	f.publish("a", "q")
	got, times := make(chan string, 9), make(chan time.Time, 9)
	f.consume("q", 2, func(d broker.Delivery) {
		times <- time.Now()
		got <- describe(d)
		switch d.Message().Attempt {
		case 0:
			must(f, d.Retry(context.Background(), wait))
		case 1:
			must(f, d.Retry(context.Background(), 0))
		default:
			must(f, d.Ack(context.Background()))
		}
	})
	want(f, got, "a/0", "a/1", "a/2")
	first, second, third := next(f, times), next(f, times), next(f, times)
	// A millisecond less, for clocks that round.
	if d := second.Sub(first); d < wait-time.Millisecond || d > wait+2*time.Second {
		f.Errorf("the first retry came after %v, want %v", d, wait)
	}
	if d := third.Sub(second); d > 2*time.Second {
		f.Errorf("the second retry came after %v, want none", d)
	}
	nothing(f, got)
}

func retrySurvives(f *fixture) {
	f.publish("soon", "q")
	f.publish("late", "q")
	ended := make(chan bool, 2)
	f.consume("q", 2, func(d broker.Delivery) {
		after := time.Duration(0)
		if d.Message().Event.ID() == "late" {
			after = time.Hour
		} else if d.Message().Attempt == 4 {
			ended <- true
			return
		}
		must(f, d.Retry(context.Background(), after))
		if after > 0 {
			ended <- true
		}
	})
	next(f, ended)
	next(f, ended)
	f.reopen()
	got := f.collect("q")
	want(f, got, "soon/4")
	nothing(f, got)
}

func follows(f *fixture) {
	f.publish("a", "q")
	f.consume("q", 1, func(d broker.Delivery) {
		must(f, d.Ack(context.Background(),
			broker.Publication{Message: message("b"), Queues: []string{"r", "s"}},
			broker.Publication{Message: message("c"), Queues: []string{"s"}},
			broker.Publication{Message: message("for nobody")}))
	})
	want(f, f.collect("r"), "b/0")
	want(f, f.collect("s"), "b/0", "c/0")
}

func exclusive(f *fixture) {
	f.publish("a", "q")
	calls, release := make(chan string, 9), make(chan bool)
	handle := func(d broker.Delivery) {
		calls <- describe(d)
		<-release
		must(f, d.Ack(context.Background()))
	}
	f.consume("q", 3, handle)
	f.consume("q", 3, handle)
	want(f, calls, "a/0")
	nothing(f, calls)
	close(release)
	nothing(f, calls)
}

func limited(f *fixture) {
	const limit = 3
	for i := range 4 * limit {
		f.publish(strconv.Itoa(i), "q")
	}
	var now, most atomic.Int32
	full, release, done := make(chan bool), make(chan bool), make(chan bool, 4*limit)
	f.consume("q", limit, func(d broker.Delivery) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == limit {
			select {
			case full <- true:
			case <-release:
			}
		}
		<-release
		now.Add(-1)
		must(f, d.Ack(context.Background()))
		done <- true
	})
	next(f, full)
	nothing(f, done)
	close(release)
	for range 4 * limit {
		next(f, done)
	}
	if most.Load() != limit {
		f.Errorf("%d handlers at once, want %d", most.Load(), limit)
	}
}

func woken(f *fixture) {
	got := f.collect("q")
	nothing(f, got)
	start := time.Now()
	f.publish("a", "q")
	want(f, got, "a/0")
	if d := time.Since(start); d > 2*time.Second {
		f.Errorf("it took %v to be woken", d)
	}
}

func waitsForHandlers(f *fixture) {
	f.publish("a", "q")
	started, release := make(chan bool, 1), make(chan bool)
	ctx, cancel := context.WithCancel(f.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- f.q.Consume(ctx, "q", 1, func(d broker.Delivery) {
			started <- true
			<-release
			must(f, d.Ack(context.WithoutCancel(ctx)))
		})
	}()
	next(f, started)
	cancel()
	f.publish("b", "q")
	nothing(f, ended)
	close(release)
	must(f, next(f, ended))
	got := f.collect("q")
	want(f, got, "b/0")
	nothing(f, got)
}

func busy(f *fixture) {
	const publishers, each = 8, 25
	got := f.collect("q")
	more := f.collect("q")
	var wg sync.WaitGroup
	var values []string
	for p := range publishers {
		for i := range each {
			values = append(values, fmt.Sprintf("%d-%d/0", p, i))
		}
		wg.Go(func() {
			for i := range each {
				must(f, f.q.Publish(f.Context(), message(fmt.Sprintf("%d-%d", p, i)), "q"))
			}
		})
	}
	wg.Wait()
	all := make(chan string, len(values))
	for range values {
		select {
		case v := <-got:
			all <- v
		case v := <-more:
			all <- v
		case <-time.After(patience):
			f.Fatalf("%d of %d came", len(all), len(values))
		}
	}
	want(f, all, values...)
}

func closed(f *fixture) {
	if err := f.q.Close(); err != nil {
		f.Fatal(err)
	}
	if err := f.q.Publish(f.Context(), message("a"), "q"); err == nil {
		f.Error("Publish: got no error")
	}
	if err := f.q.Consume(f.Context(), "q", 1, func(broker.Delivery) {}); err == nil {
		f.Error("Consume: got no error")
	}
}
