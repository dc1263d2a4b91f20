package broker

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/sosodev/duration"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"sigs.k8s.io/yaml"
)

// What Knative's RabbitMQ broker takes where a manifest is silent
// (https://github.com/knative-extensions/eventing-rabbitmq/blob/v0.48.0/pkg/reconciler/trigger/resources/dispatcher.go,
// cmd/dispatcher/main.go there).
const (
	defaultRetry       = 5 // of a delivery; without any there is no retry
	defaultBackoff     = 50 * time.Millisecond
	defaultParallelism = 1
	maxParallelism     = 1000
	parallelismKey     = "rabbitmq.eventing.knative.dev/parallelism"
)

// defaultTimeout bounds a request where there is no timeout. Knative's
// dispatcher then waits for as long as the subscriber takes, which ends with
// the timeout of its revision: at most this, unless the cluster is set up for
// more.
const defaultTimeout = 10 * time.Minute

const group = "eventing.knative.dev/v1"

// The parts of the manifests of Knative Eventing v1 that this broker honours.
// A field that is not here is an error, so that none is silently without
// effect.
type (
	metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	}
	brokerManifest struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Metadata   metadata `json:"metadata"`
		Spec       struct {
			Config   duckv1.KReference `json:"config"`
			Delivery *delivery         `json:"delivery"`
		} `json:"spec"`
	}
	triggerManifest struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Metadata   metadata `json:"metadata"`
		Spec       struct {
			Broker string `json:"broker"`
			Filter struct {
				Attributes map[string]string `json:"attributes"`
			} `json:"filter"`
			Filters    []any              `json:"filters"`
			Subscriber duckv1.Destination `json:"subscriber"`
			Delivery   *delivery          `json:"delivery"`
		} `json:"spec"`
	}
	delivery struct {
		Retry          *int                `json:"retry"`
		BackoffPolicy  string              `json:"backoffPolicy"`
		BackoffDelay   string              `json:"backoffDelay"`
		Timeout        string              `json:"timeout"`
		DeadLetterSink *duckv1.Destination `json:"deadLetterSink"`
	}
)

// Load reads the Triggers from the *.yaml files at the root of fsys, in the
// order of the files, and completes them from their Brokers. Manifests of
// other kinds are passed over. An error names the file and the field: an
// unknown field, a Trigger of a Broker that is not there, a value that cannot
// be right, spec.filters, which the RabbitMQ broker would ignore, and a filter
// that it would never let an event through.
func Load(fsys fs.FS) ([]Trigger, error) {
	var set manifests
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		for _, doc := range documents(text) {
			if err := set.add(doc); err != nil {
				return nil, fmt.Errorf("%s: %w", path.Base(name), err)
			}
		}
	}
	return set.complete()
}

// documents splits a file at its YAML document markers.
func documents(text []byte) [][]byte {
	text = append([]byte("\n"), text...)
	return bytes.Split(text, []byte("\n---"))
}

type manifests struct {
	brokers  map[string]*delivery
	triggers []triggerManifest
}

func (s *manifests) add(doc []byte) error {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return err
	}
	if head.APIVersion != group {
		return nil
	}
	switch head.Kind {
	case "Broker":
		var b brokerManifest
		if err := yaml.UnmarshalStrict(doc, &b); err != nil {
			return err
		}
		if s.brokers == nil {
			s.brokers = map[string]*delivery{}
		}
		s.brokers[b.Metadata.Name] = b.Spec.Delivery
	case "Trigger":
		var t triggerManifest
		if err := yaml.UnmarshalStrict(doc, &t); err != nil {
			return err
		}
		s.triggers = append(s.triggers, t)
	}
	return nil
}

func (s *manifests) complete() ([]Trigger, error) {
	seen := map[string]bool{}
	var all []Trigger
	for i := range s.triggers {
		t, err := s.trigger(&s.triggers[i])
		if err != nil {
			return nil, fmt.Errorf("trigger %q: %w", s.triggers[i].Metadata.Name, err)
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("trigger %q: there are two of that name", t.Name)
		}
		seen[t.Name] = true
		all = append(all, t)
	}
	return all, nil
}

func (s *manifests) trigger(m *triggerManifest) (Trigger, error) {
	t := Trigger{
		Name: m.Metadata.Name, Broker: m.Spec.Broker,
		Filter: m.Spec.Filter.Attributes, Subscriber: m.Spec.Subscriber,
	}
	effective, known := s.brokers[t.Broker]
	switch {
	case t.Name == "":
		return t, errors.New("metadata.name: missing")
	case !known:
		return t, fmt.Errorf("spec.broker: there is no Broker %q", t.Broker)
	case len(m.Spec.Filters) > 0:
		return t, errors.New("spec.filters: the RabbitMQ broker ignores it; use spec.filter.attributes")
	case t.Subscriber.Ref == nil && t.Subscriber.URI == nil:
		return t, errors.New("spec.subscriber: needs ref or uri")
	}
	if err := checkFilter(t.Filter); err != nil {
		return t, err
	}
	var err error
	if t.Parallelism, err = parallelism(m.Metadata.Annotations); err != nil {
		return t, err
	}
	// A delivery of its own takes the place of the Broker's as a whole
	// (pkg/reconciler/trigger/trigger.go of eventing-rabbitmq).
	if m.Spec.Delivery != nil {
		effective = m.Spec.Delivery
	}
	t.Delivery, err = effective.policy()
	return t, err
}

// checkFilter refuses what no event passes on Knative. There a filter is the
// arguments of a binding to a headers exchange
// (https://github.com/knative-extensions/eventing-rabbitmq/blob/v0.48.0/pkg/rabbit/binding.go),
// which RabbitMQ compares with the headers of the message that the event has
// become (pkg/rabbit/message.go there).
func checkFilter(attributes map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		field := "spec.filter.attributes." + name
		switch {
		case name == "datacontenttype":
			return fmt.Errorf("%s: the RabbitMQ broker never matches it: its messages have the content type in a header of another name", field)
		case attributes[name] == "":
			return fmt.Errorf(`%s: the RabbitMQ broker never matches "": to it that is a value, not any value; leave it out or give one`, field)
		}
	}
	return nil
}

func parallelism(annotations map[string]string) (int, error) {
	text, ok := annotations[parallelismKey]
	if !ok {
		return defaultParallelism, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxParallelism {
		return 0, fmt.Errorf("annotation %s: want 1 to %d, found %q", parallelismKey, maxParallelism, text)
	}
	return n, nil
}

// policy completes a delivery, which is nil where neither the Trigger nor its
// Broker has one.
func (d *delivery) policy() (Policy, error) {
	if d == nil {
		return Policy{Delay: defaultBackoff, Timeout: defaultTimeout}, nil
	}
	p := Policy{Retry: defaultRetry, Linear: d.BackoffPolicy == "linear", DeadLetter: d.DeadLetterSink}
	if d.Retry != nil {
		p.Retry = *d.Retry
	}
	if p.Retry < 0 {
		return p, fmt.Errorf("delivery.retry: want 0 or more, found %d", p.Retry)
	}
	if b := d.BackoffPolicy; b != "" && b != "linear" && b != "exponential" {
		return p, fmt.Errorf("delivery.backoffPolicy: want exponential or linear, found %q", b)
	}
	if s := p.DeadLetter; s != nil && s.Ref == nil && s.URI == nil {
		return p, errors.New("delivery.deadLetterSink: needs ref or uri")
	}
	var err error
	if p.Delay, err = iso8601("delivery.backoffDelay", d.BackoffDelay, defaultBackoff); err != nil {
		return p, err
	}
	p.Timeout, err = iso8601("delivery.timeout", d.Timeout, defaultTimeout)
	return p, err
}

func iso8601(field, text string, byDefault time.Duration) (time.Duration, error) {
	if text == "" {
		return byDefault, nil
	}
	d, err := duration.Parse(text)
	if err != nil || d.ToTimeDuration() <= 0 {
		return 0, fmt.Errorf("%s: want an ISO-8601 duration such as PT1S, found %q", field, text)
	}
	return d.ToTimeDuration(), nil
}
