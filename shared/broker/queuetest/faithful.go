package queuetest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
)

// faithful sends one event of each sort through delivery, retry, return and
// the publication of what follows.
func faithful(f *fixture) {
	for name, e := range events() {
		before := canonical(f, e)
		must(f, f.q.Publish(f.Context(), broker.Message{Event: e}, "q"))
		got := make(chan string, 9)
		times := 0
		stop := f.consume("q", 1, func(d broker.Delivery) {
			got <- canonical(f, d.Message().Event)
			switch times++; times {
			case 1:
				must(f, d.Retry(context.Background(), 0))
			case 2:
				must(f, d.Return(context.Background()))
			default:
				must(f, d.Ack(context.Background(), broker.Publication{Message: broker.Message{Event: d.Message().Event}, Queues: []string{"r"}}))
			}
		})
		ways := []string{next(f, got), next(f, got), next(f, got)}
		stop()
		stop = f.consume("r", 1, func(d broker.Delivery) {
			got <- canonical(f, d.Message().Event)
			must(f, d.Ack(context.Background()))
		})
		ways = append(ways, next(f, got))
		stop()
		for i, after := range ways {
			if after != before {
				f.Errorf("%s: got %.999s after way %d, want %.999s", name, after, i, before)
			}
		}
		if now := canonical(f, e); now != before {
			f.Errorf("%s: the event was changed to %.999s", name, now)
		}
	}
}

func events() map[string]cloudevents.Event {
	bare := message("bare").Event
	full := message("a 1/ä\"\n☃").Event
	full.SetSubject("the subject, 100%")
	full.SetDataSchema("https://example.test/schema?a=b&c=d")
	full.SetTime(time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.FixedZone("", 3600)))
	for name, value := range map[string]any{
		"text": "some text", "number": -5, "truth": false, "bytes": []byte{0, 255}, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"instant": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "uri": types.ParseURI("https://example.test/x"),
	} {
		full.SetExtension(name, value)
	}
	all := map[string]cloudevents.Event{"no data": bare, "all attributes": full}
	for name, of := range map[string]struct{ kind, data string }{
		"JSON":                  {"application/json", "{ \"n\":  1, \"t\": \"ä\\u00e4\" }"},
		"JSON with a parameter": {"application/json; charset=utf-8", `{"n":1}`},
		"JSON of its own":       {"application/vnd.test+json", `[1]`},
		"text":                  {"text/plain; charset=utf-8", "ä \"x\"\n"},
		"bytes":                 {"application/octet-stream", "\x00\xff\n"},
		"no content type":       {"", `{"n":1}`},
		"an event as data":      {"application/cloudevents+json", `{"specversion":"1.0","id":"inner","type":"t","source":"s"}`},
		"as much as is taken":   {"text/plain", strings.Repeat("x", event.MaxData)},
	} {
		e := message(name).Event
		if of.kind != "" {
			e.SetDataContentType(of.kind)
		}
		// As it is read from HTTP in binary mode.
		e.DataEncoded = []byte(of.data)
		all[name] = e
	}
	return all
}

// canonical tells an event by the canonical string form of all that it has.
func canonical(f *fixture, e cloudevents.Event) string {
	if err := e.Validate(); err != nil {
		f.Errorf("event %q is not valid: %v", e.ID(), err)
	}
	extensions := map[string]string{}
	for name, value := range maps.All(e.Extensions()) {
		text, err := types.Format(value)
		must(f, err)
		extensions[name] = text
	}
	return fmt.Sprintf("%q %q %q %q %q %q %q %v %q %q", e.SpecVersion(), e.ID(), e.Type(), e.Source(), e.Subject(), e.DataSchema(),
		e.DataContentType(), e.Time().UTC(), extensions, e.Data())
}
