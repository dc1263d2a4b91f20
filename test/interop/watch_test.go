package interop_test

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// watch returns what gives the next of the messages that from now on go
// through an exchange and have a header of this value.
func (w *world) watch(t *testing.T, exchange, header, value string) (next func() amqp.Delivery) {
	t.Helper()
	conn, err := amqp.Dial(w.plane.Rabbit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(q.Name, "", exchange, false, amqp.Table{"x-match": "all", header: value}); err != nil {
		t.Fatal(err)
	}
	messages, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() amqp.Delivery {
		t.Helper()
		return receive(t, "a message with "+header+"="+value, messages)
	}
}
