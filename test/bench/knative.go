package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/rabbit"
	"github.com/opengundumstyle/audio-alchemist/test/interop"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// faster is how many times as many events as Knative's broker ours is to
// deliver in the same time.
const faster = 1.5

// way is a broker between an ingress and a subscriber of its own.
type way struct {
	ingress string
	seen    atomic.Pointer[counter] // of the events that are under way
	ends    []func() error
}

func (w *way) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.seen.Load().ServeHTTP(rw, r) }

func (w *way) end() error {
	var errs []error
	for i := len(w.ends) - 1; i >= 0; i-- {
		errs = append(errs, w.ends[i]())
	}
	return errors.Join(errs...)
}

// subscriber starts the end of the way, and returns its address.
func (w *way) subscriber() string {
	s := httptest.NewServer(w)
	w.ends = append(w.ends, func() error { s.Close(); return nil })
	return s.URL
}

// knative measures the embedded broker over RabbitMQ against Knative's own
// ingress and dispatcher on the same server, in turns: the same manifest, the
// same events, as many deliveries at once.
func (b *bench) knative(ctx context.Context) (rows []row, err error) {
	server, err := servers.NewRabbit(b.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Remove()) }()
	ours, rival := &way{}, &way{}
	defer func() { err = errors.Join(err, ours.end(), rival.end()) }()
	if err := ours.overRabbit(server.URL()); err != nil {
		return nil, err
	}
	if err := rival.overKnative(ctx, b.dir, server.URL()); err != nil {
		return nil, err
	}
	for _, publishers := range []int{1, 16} {
		var pairs []pair
		for range b.copies {
			var p pair
			if p.ours, err = b.send(ctx, ours, publishers); err != nil {
				return nil, fmt.Errorf("ours: %w", err)
			}
			if p.rival, err = b.send(ctx, rival, publishers); err != nil {
				return nil, fmt.Errorf("over Knative: %w", err)
			}
			b.log.Printf("knative: %d events of %d publishers in %v, Knative's in %v", b.events, publishers, p.ours, p.rival)
			pairs = append(pairs, p)
		}
		rows = append(rows, b.compare(publishers, pairs))
	}
	return rows, nil
}

func (b *bench) compare(publishers int, pairs []pair) row {
	perSecond := func(took func(pair) time.Duration) string {
		return fmt.Sprintf("%.0f events/s", median(each(pairs, func(p pair) float64 { return float64(b.events) / seconds(took(p)) })))
	}
	ratios := each(pairs, func(p pair) float64 { return seconds(p.rival) / seconds(p.ours) })
	return row{
		what:   fmt.Sprintf("events over RabbitMQ, publishers: %d; Knative's ingress and dispatcher", publishers),
		ours:   perSecond(func(p pair) time.Duration { return p.ours }),
		rival:  perSecond(func(p pair) time.Duration { return p.rival }),
		result: fmt.Sprintf("%.2f times as many (%s)", median(ratios), spread("%.2f", ratios)),
		target: fmt.Sprintf("≥ %.1f", faster), met: yes(median(ratios) >= faster),
	}
}

// send takes all events through the way and returns the time from the first
// post to the last delivery.
func (b *bench) send(ctx context.Context, w *way, publishers int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	seen := newCounter(b.events)
	w.seen.Store(seen)
	start := time.Now()
	if err := publish(ctx, w.ingress, b.events, publishers); err != nil {
		return 0, err
	}
	select {
	case <-seen.all:
		return time.Since(start), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%d events were not delivered: %w", seen.left.Load(), ctx.Err())
	}
}

// overRabbit starts our broker over a RabbitMQ server.
func (w *way) overRabbit(server string) error {
	subscriber := w.subscriber()
	queue, err := rabbit.Open(server+"?prefix=bench", rabbit.Options{})
	if err != nil {
		return err
	}
	w.ends = append(w.ends, queue.Close)
	br, err := broker.New(broker.Options{
		Queue: queue, Manifests: manifests, Parallelism: map[string]int{"bench": deliveries},
		Resolve: func(duckv1.KReference) (string, error) { return subscriber, nil },
		Drain:   5 * time.Second, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	ingress := httptest.NewServer(br.Ingress())
	w.ingress = ingress.URL
	running, stop := context.WithCancel(context.Background())
	var ended error
	var run sync.WaitGroup
	run.Go(func() { ended = br.Run(running) })
	w.ends = append(w.ends, func() error {
		ingress.Close()
		stop()
		run.Wait()
		return ended
	})
	return nil
}

// overKnative builds Knative's programs and starts them over a RabbitMQ server.
func (w *way) overKnative(ctx context.Context, dir, server string) error {
	subscriber := w.subscriber()
	programs := filepath.Join(dir, "knative")
	if err := os.Mkdir(programs, 0o700); err != nil {
		return err
	}
	if err := interop.Build(ctx, programs); err != nil {
		return err
	}
	triggers, err := broker.Load(manifests)
	if err != nil {
		return err
	}
	for i := range triggers {
		triggers[i].Parallelism = deliveries
	}
	port, err := servers.FreePort()
	if err != nil {
		return err
	}
	plane := interop.Plane{
		Topology: interop.NewTopology("bench", triggers), Programs: programs, Rabbit: server, Port: port,
		Resolve: func(string) string { return subscriber },
	}
	if err := plane.Do(func(ch *amqp.Channel) error { return plane.Declare(ch) }); err != nil {
		return err
	}
	for _, p := range plane.All() {
		s, err := servers.NewProgram(dir, p)
		if err != nil {
			return err
		}
		w.ends = append(w.ends, s.Remove)
	}
	w.ingress = plane.IngressURL()
	return nil
}
