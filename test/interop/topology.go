// Package interop runs Knative's own data plane for RabbitMQ, its ingress and
// its dispatchers, as plain processes without Kubernetes. It does what the
// controllers of knative.dev/eventing-rabbitmq v0.48 would do on a cluster for
// the Broker and the Triggers of config/knative: it declares the same exchanges,
// queues and bindings, and gives the programs the same environment.
package interop

import (
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
	"knative.dev/pkg/kmeta"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
)

const namespace = "audio-alchemist"

// Topology is what there is on RabbitMQ for one Broker.
type Topology struct {
	Exchange string // where the ingress publishes; it routes by the events' attributes
	Routes   []Route
}

// Route is what there is for one Trigger.
type Route struct {
	Trigger broker.Trigger
	Queue   string
	DLX     string // exchange for what cannot be delivered; empty without a dead letter sink
	DLQ     string // queue behind it
}

// NewTopology names everything as the controllers do
// (pkg/rabbitmqnaming of eventing-rabbitmq), with uid in place of the unique
// ids of the objects. All Triggers belong to one Broker.
func NewTopology(uid string, triggers []broker.Trigger) Topology {
	name := func(kind, object, what string) string {
		parts := append([]string{kind, namespace, object}, strings.Fields(what)...)
		return kmeta.ChildName(strings.Join(parts, ".")+".", uid)
	}
	var t Topology
	for _, trigger := range triggers {
		t.Exchange = name("b", trigger.Broker, "")
		r := Route{Trigger: trigger, Queue: strings.Join([]string{namespace, trigger.Name, uid}, ".")}
		if trigger.Delivery.DeadLetter != nil {
			r.DLX, r.DLQ = name("t", trigger.Name, "dlx"), name("t", trigger.Name, "dlq")
		}
		t.Routes = append(t.Routes, r)
	}
	return t
}

// Declare makes it all on a server. One thing differs from a cluster: there the
// dead letter exchange of a queue is set by a policy, which AMQP cannot make;
// here it is an argument of the queue, to the same effect.
func (t Topology) Declare(ch *amqp.Channel) error {
	errs := []error{exchange(ch, t.Exchange)}
	for _, r := range t.Routes {
		arguments := amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}
		if r.DLX != "" {
			errs = append(errs, exchange(ch, r.DLX), queue(ch, r.DLQ, arguments, r.DLX, amqp.Table{}))
			arguments = amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-dead-letter-exchange": r.DLX}
		}
		// The header of this name is never compared: it begins with x-.
		filter := amqp.Table{"x-knative-trigger": r.Trigger.Name}
		for attribute, value := range r.Trigger.Filter {
			filter[attribute] = value
		}
		errs = append(errs, queue(ch, r.Queue, arguments, t.Exchange, filter))
	}
	return errors.Join(errs...)
}

// exchange declares an exchange of the kind that routes by headers.
func exchange(ch *amqp.Channel, name string) error {
	return ch.ExchangeDeclare(name, amqp.ExchangeHeaders, true, false, false, false, nil)
}

// queue declares a queue behind an exchange, for the events whose headers are
// all as in the filter.
func queue(ch *amqp.Channel, name string, arguments amqp.Table, exchange string, filter amqp.Table) error {
	if _, err := ch.QueueDeclare(name, true, false, false, false, arguments); err != nil {
		return fmt.Errorf("declare queue %s: %w", name, err)
	}
	filter["x-match"] = "all"
	return ch.QueueBind(name, "", exchange, false, filter)
}
