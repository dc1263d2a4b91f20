package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing/fstest"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/uuid"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/sqlqueue"
)

// deliveries is how many events are with the subscriber at once.
const deliveries = 32

// manifests are a broker with one trigger.
var manifests = fstest.MapFS{"bench.yaml": {Data: []byte(`
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default}
spec: {}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: bench}
spec:
  broker: default
  filter: {attributes: {type: dev.bench.event}}
  subscriber: {ref: {kind: Service, name: bench}}
  delivery: {retry: 3, backoffPolicy: linear, backoffDelay: PT0.1S, timeout: PT5S}
`)}}

// broker measures how many events go the whole way in a second: posted to
// the ingress, synced to the queue, posted to their subscriber and
// acknowledged by it.
func (b *bench) broker(ctx context.Context) ([]row, error) {
	var rows []row
	for _, publishers := range []int{1, 16} {
		took, err := b.deliver(ctx, publishers)
		if err != nil {
			return nil, err
		}
		b.log.Printf("broker: %d events of %d publishers in %v", b.events, publishers, took)
		what := fmt.Sprintf("events through the embedded broker, %d publishers", publishers)
		if publishers == 1 {
			what = "events through the embedded broker, 1 publisher"
		}
		rows = append(rows, row{
			what: what, ours: fmt.Sprintf("%.0f events/s", float64(b.events)/seconds(took)),
			rival: none, result: fmt.Sprintf("%d events", b.events), target: none, met: none,
		})
	}
	return rows, nil
}

// deliver sends the events and returns the time from the first post to the
// last delivery.
func (b *bench) deliver(ctx context.Context, publishers int) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	seen := newCounter(b.events)
	subscriber := httptest.NewServer(seen)
	defer subscriber.Close()
	queue, err := sqlqueue.Open(ctx, filepath.Join(b.dir, fmt.Sprintf("queue-%d.db", publishers)))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	br, err := broker.New(broker.Options{
		Queue: queue, Manifests: manifests, Parallelism: map[string]int{"bench": deliveries},
		Resolve: func(duckv1.KReference) (string, error) { return subscriber.URL, nil },
		Drain:   5 * time.Second, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return 0, err
	}
	ingress := httptest.NewServer(br.Ingress())
	defer ingress.Close()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- br.Run(running) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()

	start := time.Now()
	if err := publish(ctx, ingress.URL, b.events, publishers); err != nil {
		return 0, err
	}
	select {
	case <-seen.all:
		return time.Since(start), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%d events were not delivered: %w", seen.left.Load(), ctx.Err())
	}
}

// counter is a subscriber that waits for so many events.
type counter struct {
	left atomic.Int64
	all  chan struct{} // closed with the last
}

func newCounter(n int) *counter {
	c := &counter{all: make(chan struct{})}
	c.left.Store(int64(n))
	return c
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if c.left.Add(-1) == 0 {
		close(c.all)
	}
	w.WriteHeader(http.StatusNoContent)
}

// publish posts n events, shared among publishers who each wait for one to
// be accepted before the next.
func publish(ctx context.Context, url string, n, publishers int) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: publishers}}
	defer client.CloseIdleConnections()
	errs := make([]error, publishers)
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			for i := p; i < n && errs[p] == nil; i += publishers {
				errs[p] = post(ctx, client, url, i)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func post(ctx context.Context, client *http.Client, url string, i int) error {
	e := cloudevents.New()
	e.SetID(uuid.NewString())
	e.SetType("dev.bench.event")
	e.SetSource("/bench")
	e.SetSubject(strconv.Itoa(i))
	e.SetTime(time.Now())
	if err := e.SetData(cloudevents.ApplicationJSON, map[string]int{"n": i}); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	if err := cehttp.WriteRequest(ctx, binding.ToMessage(&e), req); err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the ingress answered %d", resp.StatusCode)
	}
	return nil
}
