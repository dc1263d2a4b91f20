package broker

import (
	"context"
	"errors"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// ErrFinished is what Ack, Retry and Return of a Delivery answer when one of
// them has already succeeded on it.
var ErrFinished = errors.New("the delivery is already finished")

// DeadSuffix ends the name of the queue that holds the dead letters of the
// queue that is named before it. No name of a Trigger has a slash.
const DeadSuffix = "/dead"

// Message is what a Queue carries.
type Message struct {
	// Event is a valid event with data of up to event.MaxData bytes. It comes
	// back with the same attributes, the same data, but for white space round
	// JSON, and with extensions of the same canonical string form
	// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#type-system).
	Event   cloudevents.Event
	Attempt int // how often Retry was called on it: 0 for a fresh one
}

// Publication is a message and the queues that it goes to.
type Publication struct {
	Message Message
	Queues  []string
}

// Queue holds messages in named queues until they are acknowledged. A queue
// exists from its first mention. Every implementation passes the suite in
// package queuetest.
//
// Delivery is at least once: a message comes again after a crash, and may
// come again whenever a method that finishes it has returned an error. It
// never comes to two handlers at the same time, however long the first one
// takes, unless the connection to the queue was lost in between. The order of
// messages is about that of publishing, with no promise.
//
// All methods may be called at once from many goroutines.
type Queue interface {
	// Publish stores the message in all of the queues, durably: once it has
	// returned nil, no crash loses it. After an error the message may be
	// stored in some of them, in all or in none. No queues: it does nothing.
	Publish(ctx context.Context, m Message, queues ...string) error

	// Consume calls handle for each message of the queue, in a goroutine of
	// its own, with at most limit (1 or more) of them at once. A message that
	// is published while Consume waits is delivered without delay. handle
	// finishes its delivery; one that it leaves unfinished is returned.
	//
	// When ctx is done Consume takes no more messages, waits for the handlers
	// and returns nil. When the queue cannot be read any more it waits for
	// the handlers and returns an error; it may then be called again.
	Consume(ctx context.Context, queue string, limit int, handle func(Delivery)) error

	// Close releases what the queue holds. No Consume may be running. Later
	// calls of the other methods return errors.
	Close() error
}

// Preparer is a Queue to which the first mention of a queue, or of a delay for
// Retry, is dear: it would rather know them all beforehand.
type Preparer interface {
	// Prepare makes what the queue and these delays need. What has been made
	// stays; to make it again is no error.
	Prepare(ctx context.Context, queue string, delays ...time.Duration) error
}

// Delivery is one message in the hands of one handler, who ends it by exactly
// one of Ack, Retry and Return. An error from them means that the message may
// come again; the handler may then try once more or leave it unfinished.
type Delivery interface {
	// Message returns the message. Its event is not to be changed.
	Message() Message

	// Ack removes the message and publishes what follows from it. No crash
	// removes it without publishing; an implementation that cannot do both in
	// one step publishes first.
	Ack(ctx context.Context, next ...Publication) error

	// Retry puts the message back with its Attempt one higher, to be
	// delivered again after the given time, which may be zero. Both are
	// durable.
	Retry(ctx context.Context, after time.Duration) error

	// Return puts the message back as it was, to be delivered again at once.
	Return(ctx context.Context) error
}
