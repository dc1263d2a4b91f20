package rabbit

import (
	"fmt"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// attemptHeader holds the attempt of a message that was retried. Knative
// takes no header that begins with "x-" for a part of the event.
const attemptHeader = "x-alchemist-attempt"

const (
	maxShort   = 255       // bytes of a short string of the protocol
	maxHeaders = 100 << 10 // bytes of all headers: they go in one frame, which has 128 KiB
)

// The names of headers that differ from those of the attributes.
const (
	contentTypeHeader = "content-type"
	specVersionHeader = "specversion"
	knativePrefix     = "ce-"
	brokerPrefix      = "x-"
)

// publishing makes the message of an event as Knative's RabbitMQ broker does:
// the attributes and extensions are headers by their names, the data is the
// body
// (https://github.com/knative-extensions/eventing-rabbitmq/blob/v0.48.0/pkg/rabbit/message.go).
// An event that does not fit that form is written in structured JSON, which
// Knative reads as well, but for the trace: that it takes from headers alone.
func publishing(m broker.Message) (amqp.Publishing, error) {
	p, ok := binary(m.Event)
	if !ok {
		// Not json.Marshal, which would change the white space of JSON data.
		body, err := m.Event.MarshalJSON()
		if err != nil {
			return p, fail.Wrap(fail.Invalid, err, "encode event")
		}
		p = amqp.Publishing{Headers: amqp.Table{}, ContentType: cloudevents.ApplicationCloudEventsJSON, Body: body}
		if parent, state := event.TraceOf(m.Event); parent != "" {
			p.Headers[event.TraceExtension], p.Headers[event.TraceStateExtension] = parent, state
		}
	}
	p.DeliveryMode = amqp.Persistent
	if id := m.Event.ID(); len(id) <= maxShort {
		p.MessageId = id
	}
	if m.Attempt > 0 {
		p.Headers[attemptHeader] = int64(m.Attempt)
	}
	return p, nil
}

// binary is the form with the attributes as headers. It is not ok where they
// do not fit, and where the data is an event itself: readers would take that
// for the event.
func binary(e cloudevents.Event) (p amqp.Publishing, ok bool) {
	headers := amqp.Table{contentTypeHeader: e.DataContentType(), specVersionHeader: e.SpecVersion(), "id": e.ID()}
	for name, value := range map[string]string{"type": e.Type(), "source": e.Source(), "subject": e.Subject(), "dataschema": e.DataSchema()} {
		if value != "" {
			headers[name] = value
		}
	}
	if !e.Time().IsZero() {
		headers["time"] = types.Timestamp{Time: e.Time().UTC()}.String()
	}
	for name, value := range e.Extensions() {
		header, err := headerOf(value)
		if err != nil || len(name) > maxShort {
			return p, false
		}
		headers[name] = header
	}
	if headers[event.TraceExtension] != nil && headers[event.TraceStateExtension] == nil {
		// Knative continues a trace only where both are there.
		headers[event.TraceStateExtension] = ""
	}
	size := 0
	for name, value := range headers {
		size += len(name) + len(fmt.Sprint(value)) + 8
	}
	contentType := e.DataContentType()
	if size > maxHeaders || len(contentType) > maxShort || format.IsFormat(contentType) {
		return p, false
	}
	return amqp.Publishing{Headers: headers, ContentType: contentType, Body: e.Data()}, true
}

// headerOf is the value of an extension as a header: numbers and truth values
// as such, the others in their canonical string form.
func headerOf(value any) (any, error) {
	switch value.(type) {
	case int32, bool:
		return value, nil
	}
	return types.Format(value)
}

// message reads a message that this package or Knative has written, or
// another program in structured JSON. It is fail.Invalid where that is no
// valid event.
func message(d *amqp.Delivery) (broker.Message, error) {
	m := broker.Message{Attempt: attempt(d.Headers)}
	var err error
	if f := format.Lookup(d.ContentType); f != nil {
		err = f.Unmarshal(d.Body, &m.Event)
	} else {
		m.Event, err = fromHeaders(d)
	}
	if err == nil {
		err = m.Event.Validate()
	}
	return m, fail.Wrap(fail.Invalid, err, "read event")
}

func fromHeaders(d *amqp.Delivery) (cloudevents.Event, error) {
	values := map[string]any{}
	for name, value := range d.Headers {
		values[strings.TrimPrefix(strings.ToLower(name), knativePrefix)] = value
	}
	version := spec.VS.Version(fmt.Sprint(values[specVersionHeader]))
	if version == nil {
		return cloudevents.Event{}, fail.New(fail.Invalid, "The message is no CloudEvent.")
	}
	e := cloudevents.Event{Context: version.NewContext(), DataEncoded: d.Body}
	if len(d.Body) == 0 {
		e.DataEncoded = nil
	}
	for name, value := range values {
		if err := set(&e, version, name, value); err != nil {
			return e, fmt.Errorf("header %s: %w", name, err)
		}
	}
	return e, nil
}

// set takes one header over into the event. Headers of the server, those that
// cannot be part of an event and those without a value are passed over.
func set(e *cloudevents.Event, version spec.Version, name string, value any) error {
	if value == "" || name == specVersionHeader || strings.HasPrefix(name, brokerPrefix) {
		return nil
	}
	if name == contentTypeHeader {
		return version.AttributeFromKind(spec.DataContentType).Set(e.Context, fmt.Sprint(value))
	}
	attribute := version.Attribute(name)
	if attribute == nil {
		return setExtension(e, name, value)
	}
	text := fmt.Sprint(value)
	if attribute.Kind() == spec.Time {
		// Knative writes the zero time for none.
		if t, err := types.ParseTime(text); err == nil && t.IsZero() {
			return nil
		}
	}
	return attribute.Set(e.Context, text)
}

func setExtension(e *cloudevents.Event, name string, value any) error {
	valid, err := types.Validate(value)
	if err != nil {
		valid = fmt.Sprint(value)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		return nil
	}
	return e.Context.SetExtension(name, valid)
}

// attempt reads the header of that name, which any client may have written.
func attempt(headers amqp.Table) int {
	switch n := headers[attemptHeader].(type) {
	case int64:
		return int(max(n, 0))
	case int32:
		return int(max(n, 0))
	}
	return 0
}
