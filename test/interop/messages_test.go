package interop_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"
	amqp "github.com/rabbitmq/amqp091-go"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/rabbit"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/test/interop"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// samples are events that each have something of their own.
func samples() map[string]cloudevents.Event {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	sample := func(set func(*cloudevents.Event)) cloudevents.Event {
		e := event.VideoUploaded(event.Ref{Job: "job-1", At: at}, "fid-1")
		set(&e)
		return e
	}
	return map[string]cloudevents.Event{
		"ours":      event.VideoUploaded(event.Ref{Job: "job-1", Run: 2, At: at, Trace: trace}, "fid-1"),
		"ours done": event.ConversionCompleted(event.Ref{Job: "job-1", At: at, Trace: trace}, []string{"a", "b"}),
		"extensions": sample(func(e *cloudevents.Event) {
			e.SetExtension("word", "Füße")
			e.SetExtension("number", 7)
			e.SetExtension("truth", true)
		}),
		"dataschema": sample(func(e *cloudevents.Event) { e.SetDataSchema("https://example.org/schema.json") }),
		"unicode":    sample(func(e *cloudevents.Event) { e.SetSubject("Füße 🎬 \"a\"") }),
		"bytes":      sample(func(e *cloudevents.Event) { _ = e.SetData("application/octet-stream", []byte{0, 255, '\n', 0}) }),
		"big":        sample(func(e *cloudevents.Event) { _ = e.SetData("text/plain", bytes.Repeat([]byte("x"), event.MaxData)) }),
		"bare": func() cloudevents.Event {
			e := cloudevents.New()
			e.SetID("1")
			e.SetType(event.TypeVideoUploaded)
			e.SetSource("/upload")
			return e
		}(),
	}
}

// delivered is a request as it came to a subscriber.
type delivered struct {
	event  cloudevents.Event
	header http.Header
}

// subscriber takes every event.
func subscriber(t *testing.T) (address string, next func() delivered) {
	t.Helper()
	all := make(chan delivered, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, err := cehttp.NewEventFromHTTPRequest(r)
		if err != nil {
			t.Error(err)
			return
		}
		all <- delivered{*e, r.Header}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() delivered { t.Helper(); return receive(t, "an event", all) }
}

// ours opens a queue of our own broker on the server, and tells what the
// server calls its queue of that name.
func ours(t *testing.T) (q *rabbit.Queue, server string, onServer func(name string) string) {
	t.Helper()
	address := servers.Rabbit(t)
	q, err := rabbit.Open(address, rabbit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	prefix := u.Query().Get("prefix")
	u.RawQuery = ""
	return q, u.String(), func(name string) string { return prefix + "." + name }
}

// plane is Knative's for a Trigger that takes all events to the address.
func plane(t *testing.T, rabbit, address string) interop.Plane {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	to := duckv1.Destination{Ref: &duckv1.KReference{Kind: "Service", Name: "subscriber"}}
	return interop.Plane{
		Topology: interop.NewTopology(unique(), []broker.Trigger{{
			Name: "all", Broker: "default", Subscriber: to, Parallelism: 1,
			Delivery: broker.Policy{Retry: 1, Delay: 100 * time.Millisecond, Timeout: 10 * time.Second, DeadLetter: &to},
		}}),
		Programs: built, Rabbit: rabbit, Port: port(t), Resolve: func(string) string { return address },
	}
}

func TestKnativeDeliversWhatOurBrokerHasQueued(t *testing.T) {
	q, server, onServer := ours(t)
	address, next := subscriber(t)
	p := plane(t, server, address)
	all := samples()
	send := func(e cloudevents.Event, attempt int) {
		t.Helper()
		if err := q.Publish(t.Context(), broker.Message{Event: e, Attempt: attempt}, "all"); err != nil {
			t.Fatal(err)
		}
	}
	send(all["ours"], 3)
	r := p.Routes[0]
	r.Queue = onServer("all")
	servers.StartProgram(t, p.Dispatcher(r))
	same(t, "ours, tried 3 times", all["ours"], next())
	for name, e := range all {
		send(e, 0)
		same(t, name, e, next())
	}
}

func TestOurBrokerReadsWhatKnativeHasTaken(t *testing.T) {
	q, server, onServer := ours(t)
	p := plane(t, server, "http://127.0.0.1:1")
	if err := q.Publish(t.Context(), broker.Message{Event: samples()["bare"]}, "all"); err != nil { // declares it
		t.Fatal(err)
	}
	if err := p.Do(func(ch *amqp.Channel) error {
		if err := p.Declare(ch); err != nil {
			return err
		}
		return ch.QueueBind(onServer("all"), "", p.Exchange, false, amqp.Table{"x-match": "all"})
	}); err != nil {
		t.Fatal(err)
	}
	servers.StartProgram(t, p.Ingress())
	all := samples()
	for name, e := range all {
		if err := event.NewSender(p.IngressURL()).Send(t.Context(), e); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	got := make(chan cloudevents.Event, len(all)+1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := q.Consume(ctx, "all", 1, func(d broker.Delivery) {
		if err := d.Ack(ctx); err != nil {
			t.Error(err)
		}
		if got <- d.Message().Event; len(got) == len(all)+1 {
			cancel()
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(all)+1 {
		t.Fatalf("read %d events, want %d", len(got), len(all)+1)
	}
	found := map[string]int{}
	for range len(got) {
		e := <-got
		for name, want := range all {
			if differs(want, e) == "" {
				found[name]++
			}
		}
	}
	for name := range all {
		want := 1
		if name == "bare" {
			want = 2
		}
		if found[name] != want {
			t.Errorf("%s came %d times, want %d", name, found[name], want)
		}
	}
}

// same compares what was delivered. Knative takes the trace out of the event
// and sends it as a header of HTTP, and gives an event without a time the
// present one.
func same(t *testing.T, name string, want cloudevents.Event, got delivered) {
	t.Helper()
	if tp, ok := want.Extensions()[event.TraceExtension]; ok {
		if h := got.header.Get("Traceparent"); len(h) != len(trace) || h[:35] != fmt.Sprint(tp)[:35] {
			t.Errorf("%s: header traceparent %q, want the trace of %v", name, h, tp)
		}
		want = want.Clone()
		want.SetExtension(event.TraceExtension, nil)
	}
	if want.Time().IsZero() {
		want = want.Clone()
		want.SetTime(got.event.Time())
	}
	if d := differs(want, got.event); d != "" {
		t.Errorf("%s: %s", name, d)
	}
}

// differs tells in what two events differ, but for the types of extensions.
func differs(a, b cloudevents.Event) string {
	for _, f := range []struct{ what, a, b string }{
		{"id", a.ID(), b.ID()}, {"type", a.Type(), b.Type()}, {"source", a.Source(), b.Source()}, {"subject", a.Subject(), b.Subject()},
		{"dataschema", a.DataSchema(), b.DataSchema()}, {"datacontenttype", a.DataContentType(), b.DataContentType()},
		{"time", a.Time().UTC().String(), b.Time().UTC().String()}, {"specversion", a.SpecVersion(), b.SpecVersion()},
		{"data", string(a.Data()), string(b.Data())}, {"extensions", extensions(a), extensions(b)},
	} {
		if f.a != f.b {
			return fmt.Sprintf("%s is %.200q, want %.200q", f.what, f.b, f.a)
		}
	}
	return ""
}

func extensions(e cloudevents.Event) string {
	all := map[string]string{}
	for name, value := range e.Extensions() {
		all[name], _ = types.Format(value)
	}
	return fmt.Sprint(all)
}
