package event

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The CloudEvents extensions that carry the W3C trace context
// (https://www.w3.org/TR/trace-context/), and the headers of HTTP and of
// RabbitMQ of the same names.
const (
	TraceExtension      = "traceparent"
	TraceStateExtension = "tracestate" // goes with a trace, may be missing
)

var (
	traceparent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
	// As much as every tracing system has to pass on.
	tracestate = regexp.MustCompile(`^[!-~][ -~]{0,511}$`)
)

// Trace returns the traceparent that a job begins with, and a context that has
// it: of the span or the trace in the context, otherwise of the request, and
// where that has no valid one, a new one, sampled.
func Trace(ctx context.Context, h http.Header) (context.Context, string) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		parent := h.Get(TraceExtension)
		if !traceparent.MatchString(parent) {
			parent = newTrace()
		}
		ctx = within(ctx, parent, h.Get(TraceStateExtension))
		span = trace.SpanContextFromContext(ctx)
	}
	return ctx, fmt.Sprintf("00-%s-%s-%s", span.TraceID(), span.SpanID(), span.TraceFlags())
}

func newTrace() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program first
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-01"
}

// within returns a context with the trace, which the log and spans go by; the
// context itself where there is none.
func within(ctx context.Context, parent, state string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{TraceExtension: parent, TraceStateExtension: state})
}

// InTrace returns a context with the trace of the event, for the log; the
// context itself where the event has none.
func InTrace(ctx context.Context, e cloudevents.Event) context.Context {
	parent, state := TraceOf(e)
	return within(ctx, parent, state)
}

// Span begins a span for something that is done with an event: below that of
// the context if it is of the trace of the event, otherwise below the one that
// the event names, with a link to that of the context. So a job has one trace
// whoever sends its event again. Without traces the context gets that of the
// event.
func Span(ctx context.Context, what string, kind trace.SpanKind, e cloudevents.Event) (context.Context, trace.Span) {
	here := trace.SpanFromContext(ctx)
	opts := []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithAttributes(
		attribute.String("messaging.system", "cloudevents"), attribute.String("messaging.operation.name", what),
		attribute.String("messaging.message.id", e.ID()), attribute.String("cloudevents.event_id", e.ID()),
		attribute.String("cloudevents.event_type", e.Type()), attribute.String("cloudevents.event_source", e.Source()),
		attribute.String("cloudevents.event_subject", e.Subject()),
	)}
	if its := trace.SpanContextFromContext(InTrace(context.Background(), e)); its.IsValid() && its.TraceID() != here.SpanContext().TraceID() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, its)
		if here.SpanContext().IsValid() {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: here.SpanContext()}))
		}
	}
	return here.TracerProvider().Tracer(scope).Start(ctx, what+" "+e.Type(), opts...)
}

const scope = "github.com/opengundumstyle/audio-alchemist"

// WriteTrace sets the headers of a request to the trace of its event, where
// that has a valid one. Knative's ingress and dispatcher carry a trace from
// header to header; an extension alone they lose.
func WriteTrace(h http.Header, e cloudevents.Event) {
	parent, state := TraceOf(e)
	if parent == "" {
		return
	}
	h.Set(TraceExtension, parent)
	if state != "" {
		h.Set(TraceStateExtension, state)
	}
}

// ReadTrace gives an event the trace of its request, if that has a valid one
// and the event has none.
func ReadTrace(h http.Header, e *cloudevents.Event) {
	parent, state := h.Get(TraceExtension), h.Get(TraceStateExtension)
	if e.Extensions()[TraceExtension] != nil || !traceparent.MatchString(parent) {
		return
	}
	setTrace(e, parent, state)
}

// ContinueTrace gives an event that has no trace that of its cause.
func ContinueTrace(e *cloudevents.Event, cause cloudevents.Event) {
	parent, state := TraceOf(cause)
	if e.Extensions()[TraceExtension] == nil && parent != "" {
		setTrace(e, parent, state)
	}
}

func setTrace(e *cloudevents.Event, parent, state string) {
	e.SetExtension(TraceExtension, parent)
	e.SetExtension(TraceStateExtension, nil) // that of no trace
	if tracestate.MatchString(state) {
		e.SetExtension(TraceStateExtension, state)
	}
}

// TraceOf returns the trace of an event and its state. Both are valid as
// headers; each is empty where there is no valid one.
func TraceOf(e cloudevents.Event) (parent, state string) {
	parent, _ = e.Extensions()[TraceExtension].(string)
	state, _ = e.Extensions()[TraceStateExtension].(string)
	if !traceparent.MatchString(parent) {
		return "", ""
	}
	if !tracestate.MatchString(state) {
		state = ""
	}
	return parent, state
}
