package rabbit

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// returnGap is between two tries to return an unfinished message.
const returnGap = time.Second

const consumerTag = "broker"

// Consume implements broker.Queue. It takes no more messages from the server
// than it has handlers for: one that waited here would soon exceed the
// server's consumer timeout, which is 30 minutes.
func (q *Queue) Consume(ctx context.Context, queue string, limit int, handle func(broker.Delivery)) error {
	s, err := q.subscribe(ctx, queue, limit)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is the way to end it
		}
		return fail.Wrap(fail.Unavailable, err, "consume from queue %s", queue)
	}
	var handlers sync.WaitGroup
	slots := make(chan struct{}, limit)
	for d := s.next(ctx, slots); d != nil; d = s.next(ctx, slots) {
		handlers.Go(func() {
			defer func() { <-slots }()
			q.hand(ctx, s, d, handle)
		})
	}
	if ctx.Err() != nil {
		s.cancel()
	}
	handlers.Wait()
	reason := s.close()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of ctx is the way to end it
	}
	return fail.Wrap(fail.Unavailable, reason, "consume from queue %s", queue)
}

// subscription is a consumer on a channel of its own.
type subscription struct {
	link       *link
	channel    *amqp.Channel
	queue      string
	deliveries <-chan amqp.Delivery
	closes     <-chan *amqp.Error
}

func (q *Queue) subscribe(ctx context.Context, queue string, limit int) (*subscription, error) {
	at, err := q.prefix.of(queue)
	if err != nil {
		return nil, err
	}
	name, err := q.prefix.server(queue)
	if err != nil {
		return nil, err
	}
	k, err := q.in.get(ctx)
	if err != nil {
		return nil, err
	}
	// Each time: the last consumer may have ended because the queue is gone.
	if err := k.declare(at.topology); err != nil {
		return nil, err
	}
	s := &subscription{link: k, queue: queue}
	s.channel, err = k.open(func(ch *amqp.Channel) error {
		s.closes = ch.NotifyClose(make(chan *amqp.Error, 1))
		err := ch.Qos(limit, 0, false)
		if err != nil {
			return err
		}
		s.deliveries, err = ch.Consume(name, consumerTag, false, false, false, false, nil)
		return err
	})
	return s, err
}

// next waits for a free slot and for a message. It returns nil, with or
// without a slot taken, once ctx is done or the server sends no more.
func (s *subscription) next(ctx context.Context, slots chan struct{}) *amqp.Delivery {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return nil
	}
	select {
	case d, ok := <-s.deliveries:
		if ok {
			return &d
		}
	case <-ctx.Done():
	}
	return nil
}

// cancel ends the sending of messages and returns those that have no handler.
func (s *subscription) cancel() {
	if s.link.call(func() error { return s.channel.Cancel(consumerTag, false) }, func() {}) != nil {
		return // they return with the end of the channel
	}
	for d := range s.deliveries {
		_ = d.Nack(false, true)
	}
}

// close returns what was not finished, and tells why no more came.
func (s *subscription) close() error {
	if err := s.link.call(s.channel.Close, func() {}); err != nil {
		return err
	}
	if reason := <-s.closes; reason != nil {
		return reason
	}
	return errors.New("the server has ended the delivery")
}

// hand gives a message to the handler, and returns it if it comes back
// unfinished. While that is not possible it keeps it, until the consumer ends
// or has lost it; then the server returns it. What is no event is rejected:
// it becomes a dead letter, and a dead letter is parked.
func (q *Queue) hand(ctx context.Context, s *subscription, raw *amqp.Delivery, handle func(broker.Delivery)) {
	m, err := message(raw)
	if err != nil {
		q.log.ErrorContext(ctx, "message becomes a dead letter: it is no event", "queue", s.queue, "message", raw.MessageId, "error", err)
		_ = raw.Reject(false) // it comes again if that fails
		return
	}
	d := &delivery{q: q, queue: s.queue, raw: raw, message: m}
	handle(d)
	for !d.finished.Load() && d.Return(context.WithoutCancel(ctx)) != nil && !s.channel.IsClosed() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(returnGap):
		}
	}
}

// delivery implements broker.Delivery. The server cannot publish and
// acknowledge in one step, so that each end publishes first.
type delivery struct {
	q        *Queue
	queue    string
	raw      *amqp.Delivery
	message  broker.Message
	mu       sync.Mutex // one end at a time
	finished atomic.Bool
}

func (d *delivery) Message() broker.Message { return d.message }

func (d *delivery) Ack(ctx context.Context, next ...broker.Publication) error {
	return d.finish(ctx, "acknowledge", func() (all []parcel, err error) {
		for _, p := range next {
			more, err := d.q.parcels(p.Message, p.Queues)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
		return all, nil
	})
}

func (d *delivery) Retry(ctx context.Context, after time.Duration) error {
	again := d.message
	again.Attempt++
	return d.finish(ctx, "retry", func() ([]parcel, error) { return d.q.delayed(again, d.queue, after) })
}

// Return publishes a copy, too: the server counts a message that it takes
// back, and this is no delivery that has failed.
func (d *delivery) Return(ctx context.Context) error {
	return d.finish(ctx, "return", func() ([]parcel, error) { return d.q.delayed(d.message, d.queue, 0) })
}

// delayed is the message for its queue, after a time.
func (q *Queue) delayed(m broker.Message, queue string, after time.Duration) ([]parcel, error) {
	all, err := q.parcels(m, []string{queue})
	if err != nil || after <= 0 {
		return all, err
	}
	all[0].at, err = q.prefix.later(queue, after)
	return all, err
}

func (d *delivery) finish(ctx context.Context, what string, parcels func() ([]parcel, error)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.finished.Load() {
		return broker.ErrFinished
	}
	all, err := parcels()
	if err == nil {
		err = d.q.send(ctx, all)
	}
	if err == nil {
		err = d.raw.Ack(false)
	}
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "%s a message of queue %s", what, d.queue)
	}
	d.finished.Store(true)
	return nil
}
