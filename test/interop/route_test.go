package interop_test

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
)

// TestBothBrokersRouteAlike holds which filters an event passes.
func TestBothBrokersRouteAlike(t *testing.T) {
	filters := map[string]struct {
		filter string
		passes bool
	}{
		"nothing":    {`{}`, true},
		"type":       {`{attributes: {type: dev.test.event}}`, true},
		"other-type": {`{attributes: {type: dev.test}}`, false},
		"two":        {`{attributes: {type: dev.test.event, source: /test}}`, true},
		"one-of-two": {`{attributes: {type: dev.test.event, source: /other}}`, false},
		"subject":    {`{attributes: {subject: "204"}}`, true},
		"extension":  {`{attributes: {word: a}}`, true},
		"other-word": {`{attributes: {word: b}}`, false},
		"missing":    {`{attributes: {nothing: a}}`, false},
		"time":       {`{attributes: {time: "2026-01-02T03:04:05Z"}}`, true},
	}
	triggers := map[string]string{}
	for name, f := range filters {
		triggers[name] = fmt.Sprintf("filter: %s, subscriber: {ref: {kind: Service, name: %s}}, delivery: {retry: 1}", f.filter, name)
	}
	bothBrokers(t, manifestsOf(triggers), func(t *testing.T, _, ingress string, c *calls) {
		e := sampleEvent("e1", "204")
		e.SetExtension("word", "a")
		want := map[string]int{}
		for name, f := range filters {
			if f.passes {
				want[name+" e1"] = 1
			}
		}
		if err := event.NewSender(ingress).Send(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		await(t, c, want)
	})
}

// TestKnativeNeverMatchesWhatLoadRefuses shows why broker.Load refuses two
// kinds of filters. RabbitMQ compares headers, so that an empty value matches
// an empty one alone, and the content type has another name there.
func TestKnativeNeverMatchesWhatLoadRefuses(t *testing.T) {
	c := &calls{count: map[string]int{}}
	s := httptest.NewServer(c)
	defer s.Close()
	var triggers []broker.Trigger
	for name, filter := range map[string]map[string]string{
		"any-value": {"word": ""}, "content-type": {"datacontenttype": "application/json"}, "last": {"word": "a"},
	} {
		triggers = append(triggers, broker.Trigger{
			Name: name, Broker: "default", Filter: filter, Parallelism: 1,
			Subscriber: duckv1.Destination{Ref: &duckv1.KReference{Kind: "Service", Name: name}},
			Delivery:   broker.Policy{Retry: 1, Delay: 50 * time.Millisecond, Timeout: 5 * time.Second},
		})
	}
	ingress := runKnative(t, triggers, func(service string) string { return s.URL + "/" + service })
	e := sampleEvent("e1", "204")
	e.SetExtension("word", "a")
	want := map[string]int{}
	for range 3 {
		if err := event.NewSender(ingress).Send(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		want["last e1"]++
		await(t, c, want)
	}
}
