package rabbit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// deliveryLimit is how often the server delivers a message again that a
// consumer has lost, with its connection as a rule; then it dead-letters it.
// The server's own default of 20, since RabbitMQ 4, would drop it.
const deliveryLimit = 100

// maxDelay is the longest time that a message may wait; the server knows none
// beyond 2^32 ms.
const maxDelay = 4_200_000_000 * time.Millisecond

// prefix begins all names that a broker has on the server.
type prefix string

func (p prefix) events() string      { return string(p) + ".events" }
func (p prefix) deadLetters() string { return string(p) + ".dead-letters" }
func (p prefix) parked() string      { return string(p) + ".parked" }

// place is where messages go: to an exchange with a routing key, and what has
// to be declared for them to arrive.
type place struct {
	name          string // of the topology, among those of the prefix
	exchange, key string
	topology
}

// topology is what has to be declared, with the arguments that every version
// from RabbitMQ 3.10 takes, in this order.
type topology struct {
	exchanges []exchange
	queues    []queue
	bindings  []binding
}

type exchange struct{ name, kind string }

type queue struct {
	name string
	args amqp.Table
}

type binding struct{ exchange, key, queue string }

// base is what every other topology refers to.
func (p prefix) base() topology {
	return topology{
		exchanges: []exchange{{p.events(), amqp.ExchangeDirect}, {p.deadLetters(), amqp.ExchangeDirect}},
		// Nobody consumes from it. An operator who looks into it returns what
		// he has seen, which counts.
		queues: []queue{{p.parked(), amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": int64(math.MaxInt32)}}},
	}
}

// server is the name of a queue on the server. It is fail.Invalid for one
// that could not be told from another's.
func (p prefix) server(queue string) (string, error) {
	trigger, dead := strings.CutSuffix(queue, broker.DeadSuffix)
	name := string(p) + "." + trigger
	if trigger == "" || trigger == "parked" || strings.HasPrefix(trigger, "delay.") || strings.HasSuffix(trigger, ".dead") || len(name+".dead") > maxShort {
		return "", fail.New(fail.Invalid, "RabbitMQ cannot have a queue for %q.", queue)
	}
	if dead {
		name += ".dead"
	}
	return name, nil
}

// of is the place of a queue. A queue and that of its dead letters are
// declared together.
func (p prefix) of(name string) (place, error) {
	trigger, dead := strings.CutSuffix(name, broker.DeadSuffix)
	main, err := p.server(trigger)
	if err != nil {
		return place{}, err
	}
	at := place{name: trigger, exchange: p.events(), key: trigger, topology: p.base()}
	if dead {
		at.exchange = p.deadLetters()
	}
	at.queues = append(at.queues,
		queue{main + ".dead", limited("", p.parked())},
		queue{main, limited(p.deadLetters(), trigger)})
	at.bindings = []binding{{p.deadLetters(), trigger, main + ".dead"}, {p.events(), trigger, main}}
	return at, nil
}

// limited are the arguments of a queue that consumers work on: what they
// reject, or lose too often, goes to the exchange by the key.
func limited(exchange, key string) amqp.Table {
	args := deadLettering(exchange)
	args["x-dead-letter-routing-key"] = key
	args["x-delivery-limit"] = int64(deliveryLimit)
	return args
}

// deadLettering are the arguments of a queue whose messages go to an exchange
// in the end, of which none is lost on the way: the strategy at-least-once
// needs this overflow.
func deadLettering(exchange string) amqp.Table {
	return amqp.Table{
		amqp.QueueTypeArg:        amqp.QueueTypeQuorum,
		amqp.QueueOverflowArg:    amqp.QueueOverflowRejectPublish,
		"x-dead-letter-exchange": exchange,
		"x-dead-letter-strategy": "at-least-once",
	}
}

// later is the place from where messages go to the queue after a time. All
// queues share one for each time: the routing key is the name of the queue,
// by which the default exchange finds it.
func (p prefix) later(name string, after time.Duration) (place, error) {
	target, err := p.server(name)
	if err != nil {
		return place{}, err
	}
	ms := round(after)
	id := "delay." + strconv.FormatInt(ms, 10)
	full := string(p) + "." + id
	args := deadLettering("")
	args[amqp.QueueMessageTTLArg] = ms
	return place{name: id, exchange: full, key: target, topology: topology{
		exchanges: []exchange{{full, amqp.ExchangeFanout}},
		queues:    []queue{{full, args}},
		bindings:  []binding{{full, "", full}},
	}}, nil
}

// round is a time in milliseconds, rounded up to two digits, so that the
// queues for delays stay few.
func round(d time.Duration) int64 {
	ms := int64((min(d, maxDelay) + time.Millisecond - 1) / time.Millisecond)
	step := int64(1)
	for ms/step >= 100 {
		step *= 10
	}
	return (ms + step - 1) / step * step
}

// declare declares a topology; what is there already stays.
func (k *link) declare(t topology) error {
	_, err := k.open(func(ch *amqp.Channel) error {
		if err := t.declare(ch); err != nil {
			return err
		}
		return ch.Close()
	})
	return err
}

func (t topology) declare(ch *amqp.Channel) error {
	for _, e := range t.exchanges {
		if err := ch.ExchangeDeclare(e.name, e.kind, true, false, false, false, nil); err != nil {
			return fmt.Errorf("declare exchange %s: %w", e.name, err)
		}
	}
	for _, q := range t.queues {
		if _, err := ch.QueueDeclare(q.name, true, false, false, false, q.args); err != nil {
			return fmt.Errorf("declare queue %s: %w", q.name, err)
		}
	}
	for _, b := range t.bindings {
		if err := ch.QueueBind(b.queue, b.key, b.exchange, false, nil); err != nil {
			return fmt.Errorf("bind queue %s: %w", b.queue, err)
		}
	}
	return nil
}
