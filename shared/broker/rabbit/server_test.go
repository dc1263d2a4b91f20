package rabbit_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// operator is somebody else on the server of a queue.
type operator struct {
	t      *testing.T
	conn   *amqp.Connection
	prefix string
}

func operate(t *testing.T, address string) *operator {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	o := &operator{t: t, prefix: u.Query().Get("prefix")}
	u.RawQuery = ""
	if o.conn, err = amqp.Dial(u.String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.conn.Close() })
	return o
}

// do does something on a channel.
func (o *operator) do(f func(ch *amqp.Channel) error) {
	o.t.Helper()
	ch, err := o.conn.Channel()
	if err != nil {
		o.t.Fatal(err)
	}
	if err := f(ch); err != nil {
		o.t.Fatal(err)
	}
	_ = ch.Close()
}

// waiting is how many messages wait in a queue.
func (o *operator) waiting(name string) (n int) {
	o.t.Helper()
	o.do(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(o.prefix+name, true, false, false, false, nil)
		n = q.Messages
		return err
	})
	return n
}

// collect passes on "id/attempt" of the messages of a queue.
func collect(t *testing.T, q broker.Queue, queue string) <-chan string {
	t.Helper()
	got := make(chan string, 99)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = q.Consume(ctx, queue, 4, func(d broker.Delivery) {
				if d.Ack(context.Background()) == nil {
					got <- fmt.Sprintf("%s/%d", d.Message().Event.ID(), d.Message().Attempt)
				}
			})
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return got
}

// TestWhatIsDeletedIsDeclaredAgain deletes what belongs to a queue while it is
// in use.
func TestWhatIsDeletedIsDeclaredAgain(t *testing.T) {
	const delay = 10 * time.Millisecond
	address := servers.Rabbit(t)
	q, o := quietly(t, address), operate(t, address)
	got := make(chan string, 9)
	consume(t, q, "q", 1, func(d broker.Delivery) {
		if d.Message().Event.ID() == "retried" && d.Message().Attempt == 0 {
			_ = d.Retry(context.Background(), delay)
			return
		}
		if d.Ack(context.Background()) == nil {
			got <- d.Message().Event.ID()
		}
	})
	send := func(id string) {
		t.Helper()
		if err := q.Publish(t.Context(), event(id), "q"); err != nil {
			t.Fatal(err)
		}
		if s := next(t, got); s != id {
			t.Errorf("got %s, want %s", s, id)
		}
	}
	send("retried")
	for what, f := range map[string]func(ch *amqp.Channel) error{
		"queue": func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(o.prefix+".q", false, false, false)
			return err
		},
		"exchange":       func(ch *amqp.Channel) error { return ch.ExchangeDelete(o.prefix+".events", false, false) },
		"binding":        func(ch *amqp.Channel) error { return ch.QueueUnbind(o.prefix+".q", "q", o.prefix+".events", nil) },
		"delay exchange": func(ch *amqp.Channel) error { return ch.ExchangeDelete(o.prefix+".delay.10", false, false) },
		"delay queue": func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(o.prefix+".delay.10", false, false, false)
			return err
		},
	} {
		t.Log(what)
		o.do(f)
		send("after")
		send("retried")
	}
}

func TestAChannelThatTheServerCloses(t *testing.T) {
	server := servers.StartRabbit(t)
	q := quietly(t, server.URL())
	got := collect(t, q, "q")
	for i := range 3 {
		until(t, "publish", func() error { return q.Publish(t.Context(), event(fmt.Sprint(i)), "q") })
		if s := next(t, got); s != fmt.Sprintf("%d/0", i) {
			t.Errorf("got %s, want %d/0", s, i)
		}
		// Consumers, publishers and all.
		if err := server.Control(t.Context(), "eval", "[exit(Pid, kill) || Pid <- rabbit_channel:list()]."); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAConsumerThatIsKilled loses a message with its connection until the
// server takes it for poison, and for the dead letter that it then is as well.
func TestAConsumerThatIsKilled(t *testing.T) {
	address := servers.Rabbit(t)
	q, o := quietly(t, address), operate(t, address)
	if err := q.Publish(t.Context(), event("poison"), "q"); err != nil {
		t.Fatal(err)
	}
	lose := func(queue string) (times int) {
		for o.waiting(queue) > 0 {
			o.do(func(ch *amqp.Channel) error {
				_, ok, err := ch.Get(o.prefix+queue, false)
				if ok {
					times++
				}
				return err
			})
			// The close of the channel has returned it, sooner or later.
			for range 1000 {
				if o.waiting(queue) > 0 {
					break
				}
			}
		}
		return times
	}
	if n := lose(".q"); n != 101 {
		t.Errorf("it was delivered %d times, want 101", n)
	}
	until(t, "the dead letter", func() error {
		if o.waiting(".q.dead") == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
	if s := next(t, collect(t, q, "q/dead")); s != "poison/0" {
		t.Errorf("the dead letter is %s, want poison", s)
	}
}

func TestWhatIsNoEventIsParkedInTheEnd(t *testing.T) {
	address := servers.Rabbit(t)
	q, o := quietly(t, address), operate(t, address)
	events, dead := collect(t, q, "q"), collect(t, q, "q/dead")
	if err := q.Publish(t.Context(), event("first"), "q"); err != nil {
		t.Fatal(err)
	}
	next(t, events)
	o.do(func(ch *amqp.Channel) error {
		return ch.Publish(o.prefix+".events", "q", true, false, amqp.Publishing{Body: []byte("garbage")})
	})
	if err := q.Publish(t.Context(), event("second"), "q"); err != nil {
		t.Fatal(err)
	}
	if s := next(t, events); s != "second/0" {
		t.Errorf("got %s, want the second event", s)
	}
	until(t, "parked", func() error {
		if o.waiting(".parked") != 1 {
			return fmt.Errorf("%d messages are parked, want one", o.waiting(".parked"))
		}
		return nil
	})
	if len(dead) > 0 || len(events) > 0 {
		t.Errorf("%d dead letters and %d events more than expected", len(dead), len(events))
	}
}

// TestManyDeclareTheSame is the start of several processes at the same moment.
func TestManyDeclareTheSame(t *testing.T) {
	address := servers.Rabbit(t)
	const many, rounds = 6, 5
	var queues []broker.Queue
	for range many {
		queues = append(queues, quietly(t, address))
	}
	for round := range rounds {
		name := fmt.Sprint("q", round)
		errs := make(chan error, 2*many)
		for _, q := range queues {
			go func() { errs <- q.Publish(t.Context(), event("1"), name) }()
			go func() { errs <- q.(broker.Preparer).Prepare(t.Context(), name, time.Second, time.Minute) }()
		}
		for range 2 * many {
			if err := next(t, errs); err != nil {
				t.Error(err)
			}
		}
		got := collect(t, queues[0], name)
		for range many {
			next(t, got)
		}
	}
}
