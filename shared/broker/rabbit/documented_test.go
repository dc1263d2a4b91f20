package rabbit_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/config/knative/events"
	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/test/docs"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// setUp makes the vhost and the account by the commands of docs/operations.md
// and returns the address that they are for.
func setUp(t *testing.T, server *servers.Server) string {
	t.Helper()
	for _, block := range docs.Blocks(t, "docs/operations.md", "URLs and accounts", "sh") {
		if !strings.HasPrefix(block, "rabbitmqctl ") {
			continue
		}
		if err := server.Shell(t.Context(), t.TempDir(), block); err != nil {
			t.Fatal(err)
		}
	}
	return as(t, server, url.UserPassword("app", "SECRET"), "alchemist", "")
}

// as is the address of a server for an account and a vhost.
func as(t *testing.T, server *servers.Server, who *url.Userinfo, vhost, query string) string {
	t.Helper()
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path, u.RawQuery = who, "/"+vhost, query
	return u.String()
}

// TestTheDocumentedAccount works with its permissions alone. Where something
// is wrong with it, the server has the words that docs/operations.md explains.
func TestTheDocumentedAccount(t *testing.T) {
	server := servers.StartRabbit(t)
	address, app := setUp(t, server), url.UserPassword("app", "SECRET")
	t.Run("is enough", func(t *testing.T) { isEnough(t, address) })
	for name, tt := range map[string]struct{ address, words string }{
		"another password": {as(t, server, url.UserPassword("app", "secret"), "alchemist", ""), "username or password not allowed"},
		"no such vhost":    {as(t, server, app, "nowhere", ""), "vhost nowhere not found"},
		"another prefix":   {as(t, server, app, "alchemist", "prefix=other"), "ACCESS_REFUSED"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := quietly(t, tt.address).Ready(t.Context()); !fail.Is(err, fail.Unavailable) || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%v, want %q", err, tt.words)
			}
		})
	}
}

// isEnough publishes, retries after a delay and publishes what follows. What
// is no event goes to the dead letters and is parked.
func isEnough(t *testing.T, address string) {
	t.Helper()
	q, o := quietly(t, address), operate(t, address)
	o.prefix = "alchemist"
	if err := q.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Prepare(t.Context(), "first", time.Second); err != nil {
		t.Fatal(err)
	}
	got := collect(t, q, "second")
	consume(t, q, "first", 1, func(d broker.Delivery) {
		var err error
		if m := d.Message(); m.Attempt == 0 {
			err = d.Retry(context.Background(), 10*time.Millisecond)
		} else {
			err = d.Ack(context.Background(), broker.Publication{Message: event("follows"), Queues: []string{"second"}})
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err := q.Publish(t.Context(), event("1"), "first"); err != nil {
		t.Fatal(err)
	}
	if s := next(t, got); s != "follows/0" {
		t.Errorf("got %s, want what follows", s)
	}
	dead := collect(t, q, "first/dead")
	if err := q.Publish(t.Context(), event("letter"), "first/dead"); err != nil {
		t.Fatal(err)
	}
	if s := next(t, dead); s != "letter/0" {
		t.Errorf("got %s, want the dead letter", s)
	}
	o.do(func(ch *amqp.Channel) error {
		return ch.Publish("alchemist.events", "first", true, false, amqp.Publishing{Body: []byte("garbage")})
	})
	until(t, "parked", func() error {
		if n := o.waiting(".parked"); n != 1 {
			return fmt.Errorf("%d messages are parked, want one", n)
		}
		return nil
	})
}

// TestDefinitionsCanBeLoaded loads them on an empty server, by the commands of
// config/rabbitmq/README.md, and then uses the queues.
func TestDefinitionsCanBeLoaded(t *testing.T) {
	triggers, err := broker.Load(events.Manifests)
	if err != nil {
		t.Fatal(err)
	}
	commands := docs.Blocks(t, "config/rabbitmq/README.md", "RabbitMQ, for three kinds of broker", "sh")
	for i, vhost := range []string{"/", "alchemist"} {
		t.Run(vhost, func(t *testing.T) {
			server := servers.StartRabbit(t)
			address := server.URL()
			if vhost != "/" {
				address = setUp(t, server)
			}
			if err := server.Shell(t.Context(), docs.Root(t), commands[i]); err != nil {
				t.Fatal(err)
			}
			before := names(t, server, vhost)
			useAll(t, quietly(t, address), triggers)
			if after := names(t, server, vhost); after != before {
				t.Errorf("there are %s now, and were %s", after, before)
			}
		})
	}
}

// useAll sends a message through the queues of the triggers.
func useAll(t *testing.T, q broker.Queue, triggers []broker.Trigger) {
	t.Helper()
	for _, trigger := range triggers {
		for _, queue := range []string{trigger.Name, trigger.Name + broker.DeadSuffix} {
			waits := trigger.Delivery.Waits(strings.HasSuffix(queue, broker.DeadSuffix))
			if err := q.(broker.Preparer).Prepare(t.Context(), queue, waits...); err != nil {
				t.Fatal(err)
			}
			if err := q.Publish(t.Context(), event("1"), queue); err != nil {
				t.Fatal(err)
			}
			if s := next(t, collect(t, q, queue)); s != "1/0" {
				t.Errorf("%s: got %s, want 1/0", queue, s)
			}
		}
	}
}

// names counts the queues and exchanges of a vhost.
func names(t *testing.T, server *servers.Server, vhost string) string {
	t.Helper()
	err := server.Control(t.Context(), "eval", fmt.Sprintf(`error({length(rabbit_amqqueue:list(<<%q>>)), length(rabbit_exchange:list(<<%q>>))}).`, vhost, vhost))
	if err == nil {
		t.Fatal("the server does not count")
	}
	return err.Error()
}
