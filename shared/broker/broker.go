// Package broker is the local broker: it does on one machine what a Knative
// Broker of the RabbitMQ class does on a cluster, from the same manifests.
//
// Events come in at the Ingress, wait in a Queue for each Trigger that matches
// them, and are posted to the subscribers; a subscriber's reply goes back in.
// What decides between delivered, retried and dead-lettered is in Policy and
// in verdict. Where it differs from Knative, it loses less: a retry does not
// hold back the events behind it, a dead letter is as durable as any event,
// and a reply is published in the same step that acknowledges its cause.
package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// Options are what a Broker is made of. Queue, Manifests and Resolve are
// required.
type Options struct {
	Queue     Queue // stays the caller's to close, after Run has returned
	Manifests fs.FS // with Brokers and Triggers as YAML at its root; see Load

	// Resolve gives the base URL of the object that a subscriber or a dead
	// letter sink refers to. New calls it once for each of them.
	Resolve func(ref duckv1.KReference) (string, error)

	Parallelism map[string]int // overrides that of the Triggers named; at least 1
	Drain       time.Duration  // how long Run lets deliveries end after its context is done; 0: not at all
	Client      *http.Client   // for deliveries; its Timeout and CheckRedirect are not used. nil: one for loopback
	Log         *slog.Logger   // nil: slog.Default()
}

// Broker routes and delivers events. Its Ingress works before, while and
// after it runs, as long as the queue is open.
type Broker struct {
	queue    Queue
	triggers []Trigger
	routes   []route
	drain    time.Duration
	client   *http.Client
	log      *slog.Logger
}

// New reads the manifests and makes a Broker. Its errors are those of Load,
// one for a Parallelism that names no Trigger or is below 1, and one for a
// destination that is no address or that Resolve does not know.
func New(o Options) (*Broker, error) {
	if o.Queue == nil || o.Manifests == nil || o.Resolve == nil {
		return nil, errors.New("broker: Queue, Manifests and Resolve are required")
	}
	triggers, err := Load(o.Manifests)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if err := override(triggers, o.Parallelism); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	all, err := routes(triggers, o.Resolve)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	b := &Broker{queue: o.Queue, triggers: triggers, routes: all, drain: o.Drain, client: client(o.Client), log: o.Log}
	if b.log == nil {
		b.log = slog.Default()
	}
	return b, nil
}

func override(triggers []Trigger, parallelism map[string]int) error {
	left := len(parallelism)
	for i := range triggers {
		n, ok := parallelism[triggers[i].Name]
		if !ok {
			continue
		}
		if n < 1 {
			return fmt.Errorf("parallelism of trigger %q: want 1 or more, found %d", triggers[i].Name, n)
		}
		triggers[i].Parallelism = n
		left--
	}
	if left > 0 {
		return fmt.Errorf("parallelism: %v names triggers that are not there", parallelism)
	}
	return nil
}

// client makes the client for deliveries of the one given: the deadline of a
// delivery is its trigger's, and a redirect is an answer like any other.
func client(given *http.Client) *http.Client {
	c := http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 100,
		IdleConnTimeout:     90 * time.Second,
	}}
	if given != nil {
		c = *given
	}
	c.Timeout = 0
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// Run delivers events until ctx is done. It then takes no more of them, lets
// those on their way end for up to Options.Drain, cancels the requests that
// are left and puts their events back as they were. It returns nil, once
// nothing of it runs any more.
func (b *Broker) Run(ctx context.Context) error {
	// hard is the context of the requests: it outlives ctx by b.drain.
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	drained := make(chan struct{})
	var watch, consumers sync.WaitGroup
	watch.Go(func() {
		<-ctx.Done()
		timer := time.NewTimer(b.drain)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-drained:
		}
	})
	for i := range b.routes {
		consumers.Go(func() { b.consume(ctx, hard, &b.routes[i]) })
	}
	consumers.Wait()
	close(drained)
	// Consumers end before ctx only when there are none.
	watch.Wait()
	return nil
}

// consume works on one queue; when it cannot be read, again after a while,
// which begins anew once a message has come.
func (b *Broker) consume(ctx, hard context.Context, r *route) {
	for failures := 0; ctx.Err() == nil; failures++ {
		var came atomic.Bool
		err := b.prepare(ctx, r)
		if err == nil {
			err = b.queue.Consume(ctx, r.queue, r.parallelism, func(d Delivery) {
				came.Store(true)
				b.deliver(hard, r, d)
			})
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		if came.Load() {
			failures = 0
		}
		wait := pause(failures)
		b.log.ErrorContext(ctx, "queue cannot be read", "queue", r.queue, "again in", wait, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// prepare tells the queue what it will need, where it wants to know.
func (b *Broker) prepare(ctx context.Context, r *route) error {
	if p, ok := b.queue.(Preparer); ok {
		return p.Prepare(ctx, r.queue, r.policy.Waits(r.forever)...)
	}
	return nil
}

const (
	minPause = time.Second
	maxPause = 30 * time.Second
)

// pause is how long to leave a queue alone after so many failures in a row
// before the last one: twice as long each time, and up to a half more by
// chance, so that those who lost it together do not come back together.
func pause(failures int) time.Duration {
	shortest := min(minPause<<min(failures, 10), maxPause*2/3)
	return shortest + rand.N(shortest/2) //nolint:gosec // chance, no secret
}

// route is a queue and where its events go.
type route struct {
	queue       string
	target      string // URL
	parallelism int
	policy      Policy
	dead        string // queue for what cannot be delivered; "" where that is dropped
	forever     bool   // dead letters are retried until the sink takes them
}

func routes(triggers []Trigger, resolve func(duckv1.KReference) (string, error)) ([]route, error) {
	var all []route
	for i := range triggers {
		t := &triggers[i]
		to, err := target(t.Subscriber, resolve)
		if err != nil {
			return nil, fmt.Errorf("subscriber of %s: %w", t, err)
		}
		r := route{queue: t.queue(), target: to, parallelism: t.Parallelism, policy: t.Delivery}
		if sink := t.Delivery.DeadLetter; sink != nil {
			if to, err = target(*sink, resolve); err != nil {
				return nil, fmt.Errorf("dead letter sink of %s: %w", t, err)
			}
			r.dead = t.deadQueue()
			all = append(all, route{queue: r.dead, target: to, parallelism: 1, policy: t.Delivery, forever: true})
		}
		all = append(all, r)
	}
	return all, nil
}

// target is the URL of a destination: its URI, relative to that of its ref.
func target(d duckv1.Destination, resolve func(duckv1.KReference) (string, error)) (string, error) {
	if d.Ref == nil {
		if u := d.URI.URL(); !u.IsAbs() || u.Host == "" {
			return "", fmt.Errorf("uri %s: without a ref it must be absolute", u)
		}
		return d.URI.String(), nil
	}
	text, err := resolve(*d.Ref)
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", d.Ref.Kind, d.Ref.Name, err)
	}
	base, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", d.Ref.Kind, d.Ref.Name, err)
	}
	if d.URI != nil {
		base = base.ResolveReference(d.URI.URL())
	}
	return base.String(), nil
}
