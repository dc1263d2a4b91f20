package interop

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// Plane is Knative's data plane for one Broker: what its programs are told.
type Plane struct {
	Topology
	Programs string                      // folder that Build has filled
	Rabbit   string                      // URL of the server, without a query
	Port     int                         // of the ingress
	Resolve  func(service string) string // URL of a Service that a manifest refers to
}

// IngressURL is where events are sent.
func (p Plane) IngressURL() string { return "http://127.0.0.1:" + strconv.Itoa(p.Port) }

// All is every program of the plane: ingress, dispatcher-TRIGGER for each
// Trigger, dispatcher-TRIGGER-dead for its dead letters.
func (p Plane) All() []servers.Program {
	all := []servers.Program{p.Ingress()}
	for _, r := range p.Routes {
		all = append(all, p.Dispatcher(r))
		if r.DLX != "" {
			all = append(all, p.DeadLetterDispatcher(r))
		}
	}
	return all
}

// Ingress takes events and publishes them.
func (p Plane) Ingress() servers.Program {
	return p.program("ingress", "ingress", p.IngressURL(), reachable(p.Port),
		"BROKER_URL="+p.Rabbit, "EXCHANGE_NAME="+p.Exchange, "PORT="+strconv.Itoa(p.Port),
		"BROKER_NAME=default", "BROKER_NAMESPACE="+namespace)
}

// Dispatcher delivers the events of a Trigger to its subscriber.
func (p Plane) Dispatcher(r Route) servers.Program {
	env := p.delivery(r, r.Queue, r.Trigger.Subscriber.Ref.Name)
	if r.DLX != "" {
		env = append(env, "DLX_NAME="+r.DLX)
	}
	return p.program("dispatcher", "dispatcher-"+r.Trigger.Name, "", p.consumed(r.Queue), env...)
}

// DeadLetterDispatcher delivers what could not be delivered to the dead letter
// sink of a Trigger that has one: by the Trigger's own policy, and after the
// last retry no more.
func (p Plane) DeadLetterDispatcher(r Route) servers.Program {
	env := append(p.delivery(r, r.DLQ, r.Trigger.Delivery.DeadLetter.Ref.Name), "DLX=true")
	return p.program("dispatcher", "dispatcher-"+r.Trigger.Name+"-dead", "", p.consumed(r.DLQ), env...)
}

func (p Plane) delivery(r Route, queue, service string) []string {
	d := r.Trigger.Delivery
	policy := "exponential"
	if d.Linear {
		policy = "linear"
	}
	return []string{
		"RABBIT_URL=" + p.Rabbit, "QUEUE_NAME=" + queue, "SUBSCRIBER=" + p.Resolve(service), "BROKER_INGRESS_URL=" + p.IngressURL(),
		"RETRY=" + strconv.Itoa(d.Retry), "BACKOFF_POLICY=" + policy, "BACKOFF_DELAY=" + d.Delay.String(), "TIMEOUT=" + d.Timeout.String(),
		"PARALLELISM=" + strconv.Itoa(r.Trigger.Parallelism), "NAMESPACE=" + namespace, "CONTAINER_NAME=dispatcher", "POD_NAME=" + r.Trigger.Name,
	}
}

func (p Plane) program(program, name, url string, ready func(context.Context) error, env ...string) servers.Program {
	return servers.Program{Name: name, URL: url, Ready: ready, Command: func() *exec.Cmd {
		// What ends it is the Server that it becomes.
		cmd := exec.CommandContext(context.Background(), filepath.Join(p.Programs, program))
		cmd.Env = append([]string{"SYSTEM_NAMESPACE=" + namespace, "PATH=" + os.Getenv("PATH")}, env...)
		return cmd
	}}
}

// reachable asks whether something listens. The ingress does once it has its
// connection to RabbitMQ.
func reachable(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// consumed asks whether a queue has a consumer.
func (p Plane) consumed(queue string) func(context.Context) error {
	return func(context.Context) error {
		return p.Do(func(ch *amqp.Channel) error {
			q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
			if err == nil && q.Consumers == 0 {
				err = errors.New("nobody consumes " + queue)
			}
			return err
		})
	}
}

// Do does something on the server, on a connection of its own.
func (p Plane) Do(do func(*amqp.Channel) error) error {
	conn, err := amqp.Dial(p.Rabbit)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	return do(ch)
}
