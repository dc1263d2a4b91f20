package broker_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/opengundumstyle/audio-alchemist/config/knative/events"
	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
)

func TestProductionManifests(t *testing.T) {
	triggers, err := broker.Load(events.Manifests)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		typ, service string
		parallelism  int
		timeout      time.Duration
	}{
		"convert":          {event.TypeVideoUploaded, "convert", 4, 10 * time.Minute},
		"notify-completed": {event.TypeConversionCompleted, "notify", 10, time.Minute},
		"notify-failed":    {event.TypeConversionFailed, "notify", 10, time.Minute},
	}
	if len(triggers) != len(want) {
		t.Errorf("%d triggers, want %d", len(triggers), len(want))
	}
	for _, tr := range triggers {
		w, ok := want[tr.Name]
		if !ok {
			t.Errorf("unexpected trigger %s", tr.Name)
			continue
		}
		if len(tr.Filter) != 1 || tr.Filter["type"] != w.typ || tr.Subscriber.Ref.Name != w.service ||
			tr.Parallelism != w.parallelism || tr.Delivery.Timeout != w.timeout {
			t.Errorf("%s: got %+v, want %+v", tr.Name, tr, w)
		}
		if sink := tr.Delivery.DeadLetter; sink == nil || sink.Ref == nil || sink.Ref.Name != "reconcile" {
			t.Errorf("%s: the dead letter sink is %v, want reconcile", tr.Name, sink)
		}
		var waits time.Duration
		for n := range tr.Delivery.Retry {
			waits += tr.Delivery.Backoff(n + 1)
		}
		// Long enough for an outage and a lease held for 10 minutes; with one
		// last delivery shorter than RabbitMQ's consumer timeout.
		if waits < 11*time.Minute || waits+tr.Delivery.Timeout > 29*time.Minute {
			t.Errorf("%s: the retries take %v", tr.Name, waits)
		}
	}
}

func TestEachTypeHasAnEventType(t *testing.T) {
	for _, typ := range []string{event.TypeVideoUploaded, event.TypeConversionCompleted, event.TypeConversionFailed} {
		var m struct {
			Metadata struct{ Name, Namespace string }
			Spec     struct{ Type, Schema string }
		}
		short := strings.TrimSuffix(strings.TrimPrefix(typ, "dev.audioalchemist."), ".v1")
		text, err := events.Manifests.ReadFile("eventtype-" + strings.ReplaceAll(short, ".", "-") + ".yaml")
		if err != nil {
			t.Error(err)
			continue
		}
		if err := yaml.Unmarshal(text, &m); err != nil {
			t.Error(err)
		}
		var schema struct {
			ID string `json:"$id"`
		}
		text, err = event.Schemas.ReadFile("schema/" + typ + ".json")
		if err == nil {
			err = json.Unmarshal(text, &schema)
		}
		if err != nil || m.Spec.Type != typ || m.Metadata.Name != typ || m.Spec.Schema != schema.ID {
			t.Errorf("%s: got %+v, want the type and its schema %s (%v)", typ, m, schema.ID, err)
		}
	}
}

const (
	brokerYAML = `
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default}
spec:
  delivery:
    retry: 3
    backoffPolicy: linear
    backoffDelay: PT2S
    timeout: PT1M
    deadLetterSink: {uri: "http://dead"}
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: bare}
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: silent}
spec: {delivery: {backoffDelay: PT2S}}
`
	head    = "apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {name: t}\n"
	spec    = "spec: {broker: default, subscriber: {uri: http://s}"
	trigger = head + spec + "}"
)

func TestLoad(t *testing.T) {
	tests := []struct {
		name, yaml string
		want       string // of the Trigger, or of the error
	}{
		{"no delivery: that of the Broker", trigger,
			"retry 3 delay 2s timeout 1m0s dead http://dead parallelism 1 linear"},
		{"no delivery, and the Broker's is silent about retries", strings.Replace(trigger, "default", "silent", 1),
			"retry 5 delay 2s timeout 10m0s dead - parallelism 1"},
		{"no delivery anywhere: no retry", strings.Replace(trigger, "default", "bare", 1),
			"retry 0 delay 50ms timeout 10m0s dead - parallelism 1"},
		{"a delivery of its own inherits nothing", head + spec + ", delivery: {retry: 2}}",
			"retry 2 delay 50ms timeout 10m0s dead - parallelism 1"},
		{"a delivery without retry", head + spec + ", delivery: {backoffDelay: PT1S, deadLetterSink: {uri: http://d}}}",
			"retry 5 delay 1s timeout 10m0s dead http://d parallelism 1"},
		{"an empty delivery", head + spec + ", delivery: {}}",
			"retry 5 delay 50ms timeout 10m0s dead - parallelism 1"},
		{"no retry", head + spec + ", delivery: {retry: 0}}",
			"retry 0 delay 50ms timeout 10m0s dead - parallelism 1"},
		{"everything set", strings.Replace(head, "name: t", `name: t, annotations: {rabbitmq.eventing.knative.dev/parallelism: "7"}`, 1) + spec +
			", delivery: {retry: 4, backoffPolicy: linear, backoffDelay: PT1.5S, timeout: PT1H, deadLetterSink: {uri: http://d}}}",
			"retry 4 delay 1.5s timeout 1h0m0s dead http://d parallelism 7 linear"},
		{"several documents", "# first\n---\n" + trigger + "\n---\napiVersion: v1\nkind: Other\nunknown: true\n---\n",
			"retry 3 delay 2s timeout 1m0s dead http://dead parallelism 1 linear"},
		{"unknown field", head + spec + ", delivery: {retries: 2}}", `unknown field "retries"`},
		{"a field twice", trigger + "\nkind: Trigger", "already set"},
		{"spec.filters", head + spec + ", filters: [{exact: {type: a}}]}", "spec.filters"},
		{"filter for any value", head + spec + `, filter: {attributes: {type: a, word: ""}}}`, `spec.filter.attributes.word: the RabbitMQ broker never matches ""`},
		{"filter by content type", head + spec + ", filter: {attributes: {datacontenttype: text/plain}}}", "spec.filter.attributes.datacontenttype: the RabbitMQ broker never matches it"},
		{"unknown Broker", strings.Replace(trigger, "default", "other", 1), `there is no Broker "other"`},
		{"no name", strings.Replace(trigger, "name: t", "", 1), "metadata.name"},
		{"no subscriber", head + "spec: {broker: default}", "spec.subscriber"},
		{"same name twice", trigger + "\n---\n" + trigger, "two of that name"},
		{"bad duration", head + spec + ", delivery: {backoffDelay: 1s}}", "delivery.backoffDelay"},
		{"no time at all", head + spec + ", delivery: {timeout: PT0S}}", "delivery.timeout"},
		{"negative retry", head + spec + ", delivery: {retry: -1}}", "delivery.retry"},
		{"unknown policy", head + spec + ", delivery: {backoffPolicy: random}}", "delivery.backoffPolicy"},
		{"empty sink", head + spec + ", delivery: {deadLetterSink: {}}}", "delivery.deadLetterSink"},
		{"bad parallelism", strings.Replace(trigger, "name: t", `name: t, annotations: {rabbitmq.eventing.knative.dev/parallelism: "0"}`, 1), "parallelism"},
		{"no YAML", "kind: [", "t.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			triggers, err := broker.Load(fstest.MapFS{
				"broker.yaml": {Data: []byte(brokerYAML)}, "t.yaml": {Data: []byte(tt.yaml)}, "note.txt": {Data: []byte("{")},
			})
			switch {
			case err != nil:
				got = err.Error()
			case len(triggers) == 1:
				got = describe(triggers[0])
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func describe(t broker.Trigger) string {
	p, dead, policy := t.Delivery, "-", ""
	if p.DeadLetter != nil {
		dead = p.DeadLetter.URI.String()
	}
	if p.Linear {
		policy = "linear"
	}
	return sprintf("retry %d delay %v timeout %v dead %s parallelism %d %s", p.Retry, p.Delay, p.Timeout, dead, t.Parallelism, policy)
}

func TestBackoff(t *testing.T) {
	tests := []struct {
		name   string
		policy broker.Policy
		want   []time.Duration // of the first retries
	}{
		{"exponential", broker.Policy{Delay: time.Second}, []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second}},
		{"linear", broker.Policy{Delay: time.Second, Linear: true}, []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}},
		{"default", broker.Policy{Delay: 50 * time.Millisecond}, []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, want := range tt.want {
				if got := tt.policy.Backoff(i + 1); got != want {
					t.Errorf("retry %d waits %v, want %v", i+1, got, want)
				}
			}
		})
	}
	if got := (broker.Policy{Delay: time.Second}).Backoff(5000); got <= 0 {
		t.Errorf("retry 5000 waits %v, want the longest time there is", got)
	}
}

func TestMatch(t *testing.T) {
	e := sample("id-1")
	e.SetExtension("tenant", "acme")
	e.SetExtension("priority", 5)
	tests := []struct {
		name   string
		filter map[string]string
		want   bool
	}{
		{"no filter", nil, true},
		{"type", map[string]string{"type": "dev.test.a"}, true},
		{"type in another case", map[string]string{"type": "DEV.test.a"}, false},
		{"beginning of the type", map[string]string{"type": "dev.test"}, false},
		{"source and subject", map[string]string{"source": "/test", "subject": "job-1"}, true},
		{"one of two wrong", map[string]string{"source": "/test", "subject": "job-2"}, false},
		{"id", map[string]string{"id": "id-1"}, true},
		{"specversion", map[string]string{"specversion": "1.0"}, true},
		{"datacontenttype", map[string]string{"datacontenttype": "application/json"}, false},
		{"dataschema that is not there", map[string]string{"dataschema": "/schema"}, false},
		{"time", map[string]string{"time": "2026-01-02T03:04:05Z"}, true},
		{"extension", map[string]string{"tenant": "acme"}, true},
		{"number as extension", map[string]string{"priority": "5"}, true},
		{"extension that differs", map[string]string{"tenant": "other"}, false},
		{"extension that is not there", map[string]string{"region": "x"}, false},
		{"no value", map[string]string{"tenant": ""}, false},
		{"no value of what is not there", map[string]string{"region": ""}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			trigger := broker.Trigger{Filter: tt.filter}
			if got := trigger.Match(e); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
