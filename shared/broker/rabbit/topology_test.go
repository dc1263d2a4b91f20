package rabbit

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/config/knative/events"
	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestRound(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		time.Nanosecond: 1, time.Millisecond: 1, 99 * time.Millisecond: 99, 101 * time.Millisecond: 110, 300 * time.Millisecond: 300,
		2 * time.Second: 2000, 512 * time.Second: 520_000, time.Minute: 60_000, time.Hour: 3_600_000, 1 << 62: 4_200_000_000,
	} {
		if got := round(d); got != want {
			t.Errorf("%v is rounded to %d ms, want %d", d, got, want)
		}
	}
}

func TestNamesAreTheirOwners(t *testing.T) {
	for _, name := range []string{"", "/dead", "parked", "delay.300", "a.dead", "a.dead/dead", strings.Repeat("x", 250)} {
		if _, err := prefix("p").of(name); !fail.Is(err, fail.Invalid) {
			t.Errorf("%q: got %v, want an invalid error", name, err)
		}
	}
	for name, want := range map[string]string{"convert": "p.convert", "convert/dead": "p.convert.dead", "a.b c": "p.a.b c"} {
		if got, err := prefix("p").server(name); err != nil || got != want {
			t.Errorf("%q: got %q (%v), want %q", name, got, err, want)
		}
	}
}

// TestDefinitions holds the file that operators load to what the broker
// declares for the production manifests, with the prefix by default.
func TestDefinitions(t *testing.T) {
	triggers, err := broker.Load(events.Manifests)
	if err != nil {
		t.Fatal(err)
	}
	all := []topology{prefix(defaultPrefix).base()}
	for _, trigger := range triggers {
		at, err := prefix(defaultPrefix).of(trigger.Name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, at.topology)
		for _, wait := range append(trigger.Delivery.Waits(false), trigger.Delivery.Waits(true)...) {
			later, err := prefix(defaultPrefix).later(trigger.Name, wait)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, later.topology)
		}
	}
	text, err := json.MarshalIndent(definitions(all), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("..", "..", "..", "config", "rabbitmq", "definitions.json"), append(text, '\n'))
}

// definitions are topologies in the form of
// https://www.rabbitmq.com/docs/definitions, each thing once.
func definitions(all []topology) map[string]any {
	type object = map[string]any
	exchanges, queues, bindings, seen := []object{}, []object{}, []object{}, map[string]bool{}
	add := func(to *[]object, o object) {
		key, _ := json.Marshal(o)
		if !seen[string(key)] {
			seen[string(key)] = true
			*to = append(*to, o)
		}
	}
	for _, t := range all {
		for _, e := range t.exchanges {
			add(&exchanges, object{"vhost": "/", "name": e.name, "type": e.kind, "durable": true, "auto_delete": false, "internal": false, "arguments": object{}})
		}
		for _, q := range t.queues {
			add(&queues, object{"vhost": "/", "name": q.name, "durable": true, "auto_delete": false, "arguments": q.args})
		}
		for _, b := range t.bindings {
			add(&bindings, object{"vhost": "/", "source": b.exchange, "routing_key": b.key, "destination": b.queue, "destination_type": "queue", "arguments": object{}})
		}
	}
	return object{"exchanges": exchanges, "queues": queues, "bindings": bindings}
}
