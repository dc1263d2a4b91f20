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
	"net/http"
	"net/url"
	"sync"
	"time"

	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// Options are what a Broker is made of. Queue, Manifests and Resolve are
// required.
type Options struct {
	Queue     Queue // stays the caller's to close, after Run has returned
	Manifests fs.FS // with Brokers and Triggers as YAML at its root; see Load

	// Resolve gives the base URL of the object that a subscriber or a dead
	// letter sink refers to. Run calls it once for each of them.
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
	resolve  func(duckv1.KReference) (string, error)
	drain    time.Duration
	client   *http.Client
	log      *slog.Logger
}

// New reads the manifests and makes a Broker. Its errors are those of Load,
// and one for a Parallelism that names no Trigger or is below 1.
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
	b := &Broker{queue: o.Queue, triggers: triggers, resolve: o.Resolve, drain: o.Drain, client: client(o.Client), log: o.Log}
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

// Triggers returns the triggers as they are in force. The slice is the
// caller's.
func (b *Broker) Triggers() []Trigger { return append([]Trigger(nil), b.triggers...) }

// Run delivers events until ctx is done. It then takes no more of them, lets
// those on their way end for up to Options.Drain, cancels the requests that
// are left and puts their events back as they were. It returns nil once
// nothing of it runs any more; its only error, at the start, is a destination
// that Resolve does not know.
func (b *Broker) Run(ctx context.Context) error {
	routes, err := b.routes()
	if err != nil {
		return err
	}
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
	for i := range routes {
		consumers.Go(func() { b.consume(ctx, hard, &routes[i]) })
	}
	consumers.Wait()
	close(drained)
	// Consumers end before ctx only when there are none.
	watch.Wait()
	return nil
}

// consume works on one queue; when it cannot be read, again after a second.
func (b *Broker) consume(ctx, hard context.Context, r *route) {
	for ctx.Err() == nil {
		err := b.queue.Consume(ctx, r.queue, r.parallelism, func(d Delivery) { b.deliver(hard, r, d) })
		if err == nil {
			return
		}
		b.log.ErrorContext(ctx, "queue cannot be read", "queue", r.queue, "error", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
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

func (b *Broker) routes() ([]route, error) {
	var all []route
	for i := range b.triggers {
		t := &b.triggers[i]
		target, err := b.target(t.Subscriber)
		if err != nil {
			return nil, fmt.Errorf("broker: subscriber of %s: %w", t, err)
		}
		r := route{queue: t.queue(), target: target, parallelism: t.Parallelism, policy: t.Delivery}
		if sink := t.Delivery.DeadLetter; sink != nil {
			if target, err = b.target(*sink); err != nil {
				return nil, fmt.Errorf("broker: dead letter sink of %s: %w", t, err)
			}
			r.dead = t.deadQueue()
			all = append(all, route{queue: r.dead, target: target, parallelism: 1, policy: t.Delivery, forever: true})
		}
		all = append(all, r)
	}
	return all, nil
}

// target is the URL of a destination: its URI, relative to that of its ref.
func (b *Broker) target(d duckv1.Destination) (string, error) {
	if d.Ref == nil {
		if u := d.URI.URL(); !u.IsAbs() || u.Host == "" {
			return "", fmt.Errorf("uri %s: without a ref it must be absolute", u)
		}
		return d.URI.String(), nil
	}
	text, err := b.resolve(*d.Ref)
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
