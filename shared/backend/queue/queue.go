// Package queue opens the queue of the local broker by the scheme of its URL.
// It is apart from package backend because no function by itself has a broker:
// their programs would link Kubernetes' types and a client of RabbitMQ, 5 MB
// that they never use.
package queue

import (
	"context"
	"strings"

	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/rabbit"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/sqlqueue"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Open opens the queue of a broker: queue:PATH, amqp://… or amqps://…. Ask the
// Opener for its error before use.
func Open(o *backend.Opener, address string) broker.Queue {
	return backend.Open(o, "QUEUE_URL", address, func(ctx context.Context) (broker.Queue, backend.Store, error) {
		switch scheme, rest, _ := strings.Cut(address, ":"); scheme {
		case "queue":
			q, err := sqlqueue.Open(ctx, rest)
			if err != nil {
				return nil, backend.Store{}, err
			}
			return q, backend.Store{Close: q.Close}, nil
		case "amqp", "amqps":
			q, err := rabbit.Open(address, rabbit.Options{})
			if err != nil {
				return nil, backend.Store{}, err
			}
			return q, backend.Store{Name: "queue", Ready: q.Ready, Close: q.Close}, nil
		default:
			return nil, backend.Store{}, fail.New(fail.Invalid, "unknown address, want queue:PATH, amqp://… or amqps://…")
		}
	})
}
