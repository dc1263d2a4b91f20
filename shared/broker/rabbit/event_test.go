package rabbit

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

var update = flag.Bool("update", false, "write the golden files")

func sample() cloudevents.Event {
	e := event.VideoUploaded(event.Ref{
		Job: "01932b6e-0000-7000-8000-000000000001", Run: 2, At: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
		Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}, "6f1ed002-ab5c-4c3b-9d2e-000000000001")
	e.SetDataSchema("https://audioalchemist.dev/schema/dev.audioalchemist.video.uploaded.v1.json")
	e.SetExtension("tenant", "acme")
	e.SetExtension("priority", 5)
	e.SetExtension("urgent", true)
	e.SetExtension("expires", time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC))
	return e
}

// TestTheFormIsKnatives holds the form to a file: the headers as Knative's
// broker makes them of the same event, and one of our own.
func TestTheFormIsKnatives(t *testing.T) {
	p, err := publishing(broker.Message{Event: sample(), Attempt: 3})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(map[string]any{
		"headers": p.Headers, "content-type": p.ContentType, "message-id": p.MessageId, "delivery-mode": p.DeliveryMode, "body": string(p.Body),
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "message.json"), append(got, '\n'))
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

func TestRead(t *testing.T) {
	knative := func(change amqp.Table) *amqp.Delivery {
		d := &amqp.Delivery{
			ContentType: "application/json", Body: []byte(`{"n":1}`),
			Headers: amqp.Table{
				"content-type": "application/json", "specversion": "1.0", "time": "2026-01-02T03:04:05Z", "id": "1", "type": "t", "source": "/s",
			},
		}
		for k, v := range change {
			d.Headers[k] = v
			if v == nil {
				delete(d.Headers, k)
			}
		}
		return d
	}
	const text = `{"specversion":"1.0","id":"1","type":"t","source":"/s","time":"2026-01-02T03:04:05Z","datacontenttype":"application/json","data":{"n":1}}`
	tests := []struct {
		name     string
		delivery *amqp.Delivery
		want     string // as structured JSON; empty for none
		attempt  int
	}{
		{"binary", knative(nil), text, 0},
		{"structured", &amqp.Delivery{ContentType: "application/cloudevents+json; charset=utf-8", Body: []byte(text)}, text, 0},
		{"headers with a prefix", knative(amqp.Table{"source": nil, "ce-source": "/s", "TYPE": "t", "type": nil}), text, 0},
		{"a retry", knative(amqp.Table{attemptHeader: int64(7)}), text, 7},
		{"a retry, from another client", knative(amqp.Table{attemptHeader: int32(7)}), text, 7},
		{"an attempt below zero", knative(amqp.Table{attemptHeader: int64(-7)}), text, 0},
		{"an attempt in words", knative(amqp.Table{attemptHeader: "many"}), text, 0},
		{"headers of the server", knative(amqp.Table{"x-death": []any{amqp.Table{"count": int64(1)}}, "x-delivery-count": int64(2)}), text, 0},
		{"headers that are no extensions", knative(amqp.Table{"My_Header": "a", "dash-ed": "b"}), text, 0},
		{"no trace", knative(amqp.Table{"traceparent": "", "tracestate": ""}), text, 0},
		{"no time, as Knative writes it", knative(amqp.Table{"time": "0001-01-01T00:00:00Z"}), strings.Replace(text, `"time":"2026-01-02T03:04:05Z",`, "", 1), 0},
		{"no version", knative(amqp.Table{"specversion": nil}), "", 0},
		{"an unknown version", knative(amqp.Table{"specversion": "7"}), "", 0},
		{"no id", knative(amqp.Table{"id": nil}), "", 0},
		{"a time that is none", knative(amqp.Table{"time": "noon"}), "", 0},
		{"structured that is no JSON", &amqp.Delivery{ContentType: "application/cloudevents+json", Body: []byte("{")}, "", 0},
		{"structured without an id", &amqp.Delivery{ContentType: "application/cloudevents+json", Body: []byte(`{"specversion":"1.0","type":"t","source":"/s"}`)}, "", 0},
		{"a batch", &amqp.Delivery{ContentType: "application/cloudevents-batch+json", Body: []byte("[]")}, "", 0},
		{"nothing", &amqp.Delivery{}, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := message(tt.delivery)
			if tt.want == "" {
				if !fail.Is(err, fail.Invalid) {
					t.Errorf("got %v, want an invalid error", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var want cloudevents.Event
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if m.Event.String() != want.String() || m.Attempt != tt.attempt {
				t.Errorf("got attempt %d of %s, want attempt %d of %s", m.Attempt, m.Event, tt.attempt, want)
			}
		})
	}
}

// TestWhatDoesNotFitIsStructured is about events that would break the limits
// of the protocol, and with them the connection.
func TestWhatDoesNotFitIsStructured(t *testing.T) {
	tests := map[string]func(*cloudevents.Event){
		"many extensions": func(e *cloudevents.Event) {
			for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
				e.SetExtension(name, strings.Repeat("x", 4<<10))
			}
		},
		"a long name":         func(e *cloudevents.Event) { e.SetExtension(strings.Repeat("x", 256), "1") },
		"a long content type": func(e *cloudevents.Event) { e.SetDataContentType("text/plain; a=" + strings.Repeat("x", 256)) },
		"an event as data":    func(e *cloudevents.Event) { e.SetDataContentType("application/cloudevents+json") },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			e := sample()
			change(&e)
			p, err := publishing(broker.Message{Event: e, Attempt: 1})
			if err != nil {
				t.Fatal(err)
			}
			want := amqp.Table{attemptHeader: int64(1), "traceparent": e.Extensions()["traceparent"], "tracestate": ""}
			if p.ContentType != "application/cloudevents+json" || !reflect.DeepEqual(p.Headers, want) {
				t.Errorf("the content type is %.99s with headers %.999v, want structured JSON with %v", p.ContentType, p.Headers, want)
			}
			m, err := message(&amqp.Delivery{ContentType: p.ContentType, Headers: p.Headers, Body: p.Body})
			if err != nil || m.Event.ID() != e.ID() || string(m.Event.Data()) != string(e.Data()) || m.Attempt != 1 {
				t.Errorf("read %.999s (%v), want the event", m.Event, err)
			}
		})
	}
	e := sample()
	e.SetID(strings.Repeat("x", 300))
	if p, err := publishing(broker.Message{Event: e}); err != nil || p.MessageId != "" || p.Headers["id"] != e.ID() {
		t.Errorf("a long id: got message id %q (%v), want the header only", p.MessageId, err)
	}
}
