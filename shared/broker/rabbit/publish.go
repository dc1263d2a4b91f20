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

// confirmIn bounds the wait for the server to confirm a message.
const confirmIn = 10 * time.Second

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
// What cannot be routed, or finds no exchange, is declared and published once
// more. Its errors are fail.Unavailable.
func (q *Queue) send(ctx context.Context, all []parcel) error {
	for again := false; len(all) > 0; again = true {
		k, err := q.out.get(ctx)
		if err != nil {
			return err
		}
		lost, err := q.attempt(ctx, k, all)
		if err != nil && (again || !missing(err)) {
			return fail.Wrap(fail.Unavailable, err, "publish to RabbitMQ")
		}
		if len(lost) > 0 && again {
			return fail.New(fail.Unavailable, "RabbitMQ has no queue for the message.")
		}
		if err == nil {
			all = lost
		}
		for i := range all {
			k.forget(all[i].at)
		}
	}
	return nil
}

// missing reports whether the server closed the channel because an exchange
// is not there.
func missing(err error) bool {
	var closed *amqp.Error
	return errors.As(err, &closed) && closed.Code == amqp.NotFound
}

// attempt publishes parcels once and returns those that could not be routed.
func (q *Queue) attempt(ctx context.Context, k *link, all []parcel) (lost []parcel, err error) {
	blocked, err := k.refusal()
	if err != nil {
		return nil, err
	}
	for i := range all {
		if err := k.ensure(all[i].at); err != nil {
			return nil, err
		}
	}
	p, err := q.publisher(k)
	if err != nil {
		return nil, err
	}
	receipts := make([]*receipt, len(all))
	for i := range all {
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
			return nil, fmt.Errorf("no confirmation within %v", confirmIn)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if r.err != nil {
			return nil, r.err
		}
		if r.returned {
			lost = append(lost, all[i])
		}
	}
	return lost, nil
}

// publisher returns the channel for publishing over a connection.
func (q *Queue) publisher(k *link) (*publisher, error) {
	q.opening.Lock()
	defer q.opening.Unlock()
	if q.current != nil && q.current.link == k && !q.current.channel.IsClosed() {
		return q.current, nil
	}
	p, err := newPublisher(k)
	if err != nil {
		return nil, err
	}
	q.working.Go(p.collect)
	q.current = p
	return p, nil
}

// publisher is a channel in confirm mode.
type publisher struct {
	link     *link
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
	done     chan struct{}
	returned bool  // it could not be routed
	err      error // it may be stored or not
}

func newPublisher(k *link) (*publisher, error) {
	ch, err := k.channel()
	if err != nil {
		return nil, err
	}
	p := &publisher{link: k, channel: ch, waiting: map[uint64]*receipt{}}
	// With room: what finds none for five seconds is thrown away.
	p.returns = ch.NotifyReturn(make(chan amqp.Return, 256))
	p.confirms = ch.NotifyPublish(make(chan amqp.Confirmation, 256))
	p.closes = ch.NotifyClose(make(chan *amqp.Error, 1))
	return p, k.within(func() error { return ch.Confirm(false) })
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
		receipt.returned = true
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
	if !c.Ack {
		r.err = errors.New("the server could not store the message")
	}
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
