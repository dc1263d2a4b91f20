package broker_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestEachMatchingTriggerGetsTheEvent(t *testing.T) { each(t, eachMatchingTriggerGetsTheEvent) }

func eachMatchingTriggerGetsTheEvent(t *testing.T, start starter) {
	got := make(chan string, 9)
	to := func(name string) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) { got <- name + " " + read(t, r).ID() }
	}
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", ""}, [4]string{"also-a", "dev.test.a", "also", ""}, [4]string{"b", "dev.test.b", "b", ""}),
		map[string]http.HandlerFunc{"a": to("a"), "also": to("also"), "b": to("b")})
	w.send(sample("1"))
	if both := next(t, got) + next(t, got); both != "a 1also 1" && both != "also 1a 1" {
		t.Errorf("got %q, want one for each trigger", both)
	}
	nothing(t, got)
}

func TestParallelismIsReachedAndKept(t *testing.T) { each(t, parallelismIsReachedAndKept) }

func parallelismIsReachedAndKept(t *testing.T, start starter) {
	const limit = 3
	var now, most atomic.Int32
	full, release, done := make(chan bool), make(chan bool), make(chan bool, 99)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", quick}), map[string]http.HandlerFunc{
		"a": func(http.ResponseWriter, *http.Request) {
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
			done <- true
		},
	}, dead, func(o *broker.Options) { o.Parallelism = map[string]int{"a": limit} })
	for i := range 4 * limit {
		w.send(sample(sprintf("%d", i)))
	}
	next(t, full)
	nothing(t, done)
	close(release)
	for range 4 * limit {
		next(t, done)
	}
	if most.Load() != limit {
		t.Errorf("%d deliveries at once, want %d", most.Load(), limit)
	}
}

// dead resolves a dead letter sink that nothing comes to.
func dead(o *broker.Options) {
	resolve := o.Resolve
	o.Resolve = func(ref duckv1.KReference) (string, error) {
		if ref.Name == "dead" {
			return "http://127.0.0.1:1", nil
		}
		return resolve(ref)
	}
}

func TestDrainLetsDeliveriesEnd(t *testing.T) { each(t, drainLetsDeliveriesEnd) }

func drainLetsDeliveriesEnd(t *testing.T, start starter) {
	started, release, calls := make(chan bool, 9), make(chan bool), atomic.Int32{}
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", quick}), map[string]http.HandlerFunc{
		"a": func(http.ResponseWriter, *http.Request) {
			calls.Add(1)
			started <- true
			<-release
		},
	}, dead, func(o *broker.Options) { o.Drain = patience })
	w.send(sample("1"))
	next(t, started)
	w.send(sample("2"))
	stopped := make(chan bool)
	go func() {
		w.stop()
		close(stopped)
	}()
	nothing(t, stopped)
	close(release)
	next(t, stopped)
	if n := calls.Load(); n != 1 {
		t.Errorf("%d deliveries, want one: the other event came after the stop", n)
	}
	w.run()
	next(t, started)
	nothing(t, started)
}

func TestDrainReturnsWhatDoesNotEnd(t *testing.T) { each(t, drainReturnsWhatDoesNotEnd) }

func drainReturnsWhatDoesNotEnd(t *testing.T, start starter) {
	// No retries: a counted attempt would end the event.
	const delivery = `{retry: 0, deadLetterSink: {ref: {kind: Service, name: dead}}}`
	var again atomic.Bool
	started, buried, cancelled := make(chan bool, 9), make(chan bool, 9), make(chan bool, 9)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", delivery}), map[string]http.HandlerFunc{
		"a": func(_ http.ResponseWriter, r *http.Request) {
			_ = read(t, r)
			started <- true
			if !again.Load() {
				<-r.Context().Done()
				cancelled <- true
			}
		},
		"dead": func(http.ResponseWriter, *http.Request) { buried <- true },
	}, func(o *broker.Options) { o.Drain = 50 * time.Millisecond })
	w.send(sample("1"))
	next(t, started)
	w.stop()
	next(t, cancelled)
	again.Store(true)
	w.run()
	next(t, started)
	nothing(t, started)
	nothing(t, buried)
}

func TestNewRefuses(t *testing.T) {
	good := manifest([4]string{"a", "dev.test.a", "a", quick})
	uri := fstest.MapFS{"t.yaml": {Data: []byte(strings.NewReplacer("{ref: {kind: Service, name: a}}", "{uri: /relative}").Replace(string(good["all.yaml"].Data)))}}
	services := func(names ...string) func(duckv1.KReference) (string, error) {
		w := world{services: map[string]string{}}
		for _, n := range names {
			w.services[n] = "http://127.0.0.1:1/" + n
		}
		return w.resolve
	}
	tests := []struct {
		name    string
		options broker.Options
		want    string
	}{
		{"no queue", broker.Options{Manifests: good, Resolve: services()}, "required"},
		{"no manifests", broker.Options{Queue: failing{}, Resolve: services()}, "required"},
		{"parallelism of nobody", broker.Options{Queue: failing{}, Manifests: good, Resolve: services(), Parallelism: map[string]int{"z": 1}}, "not there"},
		{"no parallelism", broker.Options{Queue: failing{}, Manifests: good, Resolve: services(), Parallelism: map[string]int{"a": 0}}, "1 or more"},
		{"unknown subscriber", broker.Options{Queue: failing{}, Manifests: good, Resolve: services("dead")}, "subscriber of trigger a"},
		{"unknown sink", broker.Options{Queue: failing{}, Manifests: good, Resolve: services("a")}, "dead letter sink of trigger a"},
		{"relative URI", broker.Options{Queue: failing{}, Manifests: uri, Resolve: services("dead")}, "must be absolute"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := broker.New(tt.options)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestDestinations(t *testing.T) {
	got := make(chan string, 9)
	echo := func(_ http.ResponseWriter, r *http.Request) { got <- r.URL.Path }
	for subscriber, want := range map[string]string{
		"{ref: {kind: Service, name: a}}":               "/",
		"{ref: {kind: Service, name: a}, uri: /events}": "/events",
	} {
		text := strings.ReplaceAll(string(manifest([4]string{"a", "dev.test.a", "a", ""})["all.yaml"].Data), "{ref: {kind: Service, name: a}}", subscriber)
		w := start(t, fstest.MapFS{"all.yaml": {Data: []byte(text)}}, map[string]http.HandlerFunc{"a": echo})
		w.send(sample("1"))
		if path := next(t, got); path != want {
			t.Errorf("%s: posted to %s, want %s", subscriber, path, want)
		}
	}
}

// flaky is a queue that cannot be read at first.
type flaky struct {
	broker.Queue
	fails atomic.Int32
}

func (q *flaky) Consume(ctx context.Context, queue string, limit int, handle func(broker.Delivery)) error {
	if q.fails.Add(-1) >= 0 {
		return fail.New(fail.Unavailable, "The server is away.")
	}
	return q.Queue.Consume(ctx, queue, limit, handle)
}

func TestAQueueIsReadAgain(t *testing.T) {
	got := make(chan string, 9)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", ""}), map[string]http.HandlerFunc{
		"a": func(_ http.ResponseWriter, r *http.Request) { got <- read(t, r).ID() },
	}, func(o *broker.Options) {
		q := &flaky{Queue: o.Queue}
		q.fails.Store(1)
		o.Queue = q
	})
	w.send(sample("1"))
	if id := next(t, got); id != "1" {
		t.Errorf("got event %s, want 1", id)
	}
}

func TestPauseGrows(t *testing.T) {
	for failures, least := range []time.Duration{1, 2, 4, 8, 16, 20, 20, 20} {
		least *= time.Second
		for range 100 {
			if d := broker.Pause(failures); d < least || d > least*3/2 {
				t.Fatalf("waits %v after %d failures, want %v to %v", d, failures, least, least*3/2)
			}
		}
	}
	if d := broker.Pause(1 << 40); d > 30*time.Second {
		t.Errorf("waits %v, want 30 s at most", d)
	}
}
