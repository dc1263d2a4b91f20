package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const (
	// confirmIn bounds the wait for the server to confirm a message.
	confirmIn = 10 * time.Second
	// declareAfter is for consumers to hear that their queue is gone before
	// there is another one of its name: to those who hear it too late, the
	// server assigns messages and does not deliver them.
	declareAfter = 500 * time.Millisecond
	// tries bounds how often a message is published.
	tries = 3
)

// parcel is a message on its way to a place.
type parcel struct {
	at      place
	message amqp.Publishing
}

// parcels are the message for each of the queues.
func (q *Queue) parcels(m broker.Message, queues []string) ([]parcel, error) {
	if len(queues) == 0 {
		return nil, nil
	}
	p, err := publishing(m)
	if err != nil {
		return nil, err
	}
	all := make([]parcel, len(queues))
	for i, name := range queues {
		at, err := q.prefix.of(name)
		if err != nil {
			return nil, err
		}
		all[i] = parcel{at, p}
	}
	return all, nil
}

// send publishes parcels and waits until the server has confirmed them all.
// What cannot be routed, finds no exchange, or is refused by a queue that
// somebody else is declaring at this moment, is declared and published again.
// Its errors are fail.Unavailable.
func (q *Queue) send(ctx context.Context, all []parcel) error {
	for try := 1; len(all) > 0; try++ {
		k, err := q.out.get(ctx)
		if err != nil {
			return err
		}
		lost, err := k.attempt(ctx, all)
		if err == nil {
			all = lost
		}
		switch {
		case len(all) == 0:
			return nil
		case err != nil && (try == tries || !missing(err)):
			return fail.Wrap(fail.Unavailable, err, "publish to RabbitMQ")
		case try == tries:
			return fail.New(fail.Unavailable, "RabbitMQ has no queue that takes the message.")
		}
		for i := range all {
			k.forget(all[i].at)
		}
		pause(ctx, declareAfter)
	}
	return nil
}

// pause waits, at most until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// missing reports whether the server closed the channel because an exchange
// is not there.
func missing(err error) bool {
	var closed *amqp.Error
	return errors.As(err, &closed) && closed.Code == amqp.NotFound
}

// attempt publishes parcels once and returns those that were not taken.
func (k *link) attempt(ctx context.Context, all []parcel) (lost []parcel, err error) {
	blocked, err := k.refusal()
	if err != nil {
		return nil, err
	}
	publishers, receipts := make([]*publisher, len(all)), make([]*receipt, len(all))
	for i := range all {
		if publishers[i], err = k.publisher(all[i].at); err != nil {
			return nil, err
		}
	}
	for i, p := range publishers {
		if receipts[i], err = p.publish(all[i]); err != nil {
			return nil, err
		}
	}
	timer := time.NewTimer(confirmIn)
	defer timer.Stop()
	for i, r := range receipts {
		select {
		case <-r.done:
		case <-blocked:
			_, err := k.refusal()
			return nil, err
		case <-timer.C:
			return nil, fmt.Errorf("%s: no confirmation within %v", all[i].at.name, confirmIn)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if r.err != nil {
			return nil, r.err
		}
		if r.refused {
			lost = append(lost, all[i])
		}
	}
	return lost, nil
}

// post is what a connection has for the messages to one place: a channel of
// its own, as the server stops reading from a channel while the queue has no
// leader.
type post struct {
	mu        sync.Mutex
	declared  bool
	publisher *publisher
	err       error     // of the last attempt to open it
	failed    time.Time // when that was
}

func (k *link) post(at place) *post {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := at.exchange + " " + at.name
	if k.posts[name] == nil {
		k.posts[name] = new(post)
	}
	return k.posts[name]
}

// forget lets a place be declared once more.
func (k *link) forget(at place) {
	p := k.post(at)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.declared = false
}

// publisher returns the channel for messages to a place, and declares that if
// need be.
func (k *link) publisher(at place) (*publisher, error) {
	post := k.post(at)
	post.mu.Lock()
	defer post.mu.Unlock()
	if post.declared && post.publisher != nil && !post.publisher.channel.IsClosed() {
		return post.publisher, nil
	}
	// Those who have waited for an attempt share its failure.
	if time.Since(post.failed) < time.Second {
		return nil, post.err
	}
	if err := post.open(k, at); err != nil {
		post.err, post.failed = fmt.Errorf("%s: %w", at.name, err), time.Now()
		return nil, post.err
	}
	return post.publisher, nil
}

func (p *post) open(k *link, at place) (err error) {
	if !p.declared {
		if err := k.declare(at.topology); err != nil {
			return err
		}
		p.declared = true
	}
	if p.publisher == nil || p.publisher.channel.IsClosed() {
		p.publisher, err = newPublisher(k)
	}
	return err
}

// publisher is a channel in confirm mode.
type publisher struct {
	channel  *amqp.Channel
	returns  <-chan amqp.Return
	confirms <-chan amqp.Confirmation
	closes   <-chan *amqp.Error

	order sync.Mutex // held from taking a number until the message is written

	mu      sync.Mutex
	waiting map[uint64]*receipt // by number; nil once the channel is closed
	err     error               // why it is
}

// receipt is what becomes of a message. Its other fields may be read once
// done is closed.
type receipt struct {
	done    chan struct{}
	refused bool  // it could not be routed, or its queue did not take it
	err     error // it may be stored or not
}

func newPublisher(k *link) (*publisher, error) {
	p := &publisher{waiting: map[uint64]*receipt{}}
	ch, err := k.open(func(ch *amqp.Channel) error {
		// With room: what finds none for five seconds is thrown away.
		p.returns = ch.NotifyReturn(make(chan amqp.Return, 256))
		p.confirms = ch.NotifyPublish(make(chan amqp.Confirmation, 256))
		p.closes = ch.NotifyClose(make(chan *amqp.Error, 1))
		return ch.Confirm(false)
	})
	if err != nil {
		return nil, err
	}
	p.channel = ch
	if err := k.line.begin(p.collect); err != nil {
		return nil, err
	}
	return p, nil
}

// publish writes a message. Its number goes with it as the correlation id, by
// which the server's return of it is known.
func (p *publisher) publish(m parcel) (*receipt, error) {
	p.order.Lock()
	defer p.order.Unlock()
	n := p.channel.GetNextPublishSeqNo()
	r := &receipt{done: make(chan struct{})}
	p.mu.Lock()
	if p.waiting == nil {
		defer p.mu.Unlock()
		return nil, p.err
	}
	p.waiting[n] = r
	p.mu.Unlock()
	m.message.CorrelationId = strconv.FormatUint(n, 10)
	if err := p.channel.Publish(m.at.exchange, m.at.key, true, false, m.message); err != nil {
		p.mu.Lock()
		delete(p.waiting, n)
		p.mu.Unlock()
		return nil, err
	}
	return r, nil
}

// collect hands out what the server says of the messages, until the channel
// is closed. The server returns a message before it confirms it, so that the
// return is there to be read once the confirmation is.
func (p *publisher) collect() {
	returns := p.returns
	for {
		select {
		case r, ok := <-returns:
			if !ok {
				returns = nil
				continue
			}
			p.returned(r)
		case c, ok := <-p.confirms:
			for more := true; more; {
				select {
				case r, ok := <-returns:
					if more = ok; ok {
						p.returned(r)
					}
				default:
					more = false
				}
			}
			if !ok {
				p.end()
				return
			}
			p.settle(c)
		}
	}
}

func (p *publisher) returned(r amqp.Return) {
	n, err := strconv.ParseUint(r.CorrelationId, 10, 64)
	p.mu.Lock()
	defer p.mu.Unlock()
	if receipt := p.waiting[n]; err == nil && receipt != nil {
		receipt.refused = true
	}
}

func (p *publisher) settle(c amqp.Confirmation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.waiting[c.DeliveryTag]
	if r == nil {
		return
	}
	delete(p.waiting, c.DeliveryTag)
	r.refused = r.refused || !c.Ack
	close(r.done)
}

// end fails what is not confirmed.
func (p *publisher) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = amqp.ErrClosed
	if reason := <-p.closes; reason != nil {
		p.err = reason
	}
	for _, r := range p.waiting {
		r.err = p.err
		close(r.done)
	}
	p.waiting = nil
}
