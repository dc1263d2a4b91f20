// Package rabbit is the broker.Queue on a RabbitMQ server, version 3.10 or
// newer: a durable quorum queue for each queue of the broker, publisher
// confirms before acknowledgements, and events in the form that Knative's
// RabbitMQ broker writes and reads. docs/adr/0010-rabbitmq.md says why it is
// as it is.
package rabbit

import (
	"context"
	"log/slog"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Options are the settings of a Queue; the zero value is good.
type Options struct {
	Log *slog.Logger // nil: slog.Default()
}

// Queue is a broker.Queue on a RabbitMQ server. It has two connections, so
// that a server that takes no messages, for want of memory or disk, still
// takes acknowledgements. Both are made when they are needed, and again when
// they are lost; while there is none, each method waits for up to five seconds
// and is then fail.Unavailable.
type Queue struct {
	prefix  prefix
	log     *slog.Logger
	out, in *line // for publishing, for consuming
}

// Open makes a Queue of an address:
//
//	amqp(s)://user:password@host:port/vhost[?prefix=NAME]
//
// The names of all that belongs to the queue on the server begin with the
// prefix, "alchemist" if there is none. Further parameters are those of
// https://www.rabbitmq.com/docs/uri-query-parameters, as cacertfile. Open does
// not connect. Its only error is fail.Invalid, for the address.
func Open(address string, o Options) (*Queue, error) {
	server, p, err := parse(address)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Queue{
		prefix: p, log: o.Log,
		out: newLine(server, string(p)+" publishing", o.Log),
		in:  newLine(server, string(p)+" consuming", o.Log),
	}, nil
}

// Publish implements broker.Queue.
func (q *Queue) Publish(ctx context.Context, m broker.Message, queues ...string) error {
	all, err := q.parcels(m, queues)
	if err != nil {
		return err
	}
	return q.send(ctx, all)
}

// Prepare implements broker.Preparer.
func (q *Queue) Prepare(ctx context.Context, queue string, delays ...time.Duration) error {
	at, err := q.prefix.of(queue)
	if err != nil {
		return err
	}
	k, err := q.out.get(ctx)
	if err != nil {
		return err
	}
	all := []topology{at.topology}
	for _, after := range delays {
		if at, err = q.prefix.later(queue, after); err != nil {
			return err
		}
		all = append(all, at.topology)
	}
	for _, t := range all {
		if err := k.declare(t); err != nil {
			return fail.Wrap(fail.Unavailable, err, "declare what queue %s needs", queue)
		}
	}
	return nil
}

// Ready reports, as fail.Unavailable, why messages cannot be published or
// consumed at the moment. It declares what all queues have in common.
func (q *Queue) Ready(ctx context.Context) error {
	if _, err := q.in.get(ctx); err != nil {
		return err
	}
	k, err := q.out.get(ctx)
	if err != nil {
		return err
	}
	if _, err := k.refusal(); err != nil {
		return err
	}
	return fail.Wrap(fail.Unavailable, k.declare(q.prefix.base()), "declare the exchanges")
}

// Close implements broker.Queue.
func (q *Queue) Close() error {
	q.in.close()
	q.out.close()
	return nil
}
