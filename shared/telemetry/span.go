package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk"
	"go.opentelemetry.io/otel/trace"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// scope names who makes the spans.
const scope = "github.com/opengundumstyle/audio-alchemist"

// The attributes of spans that are our own.
const (
	AttrFunction = attribute.Key("alchemist.function") // which function's span it is
	AttrJob      = attribute.Key("alchemist.job.id")
	AttrAttempt  = attribute.Key("alchemist.job.attempt") // which claim in this run of the job
	AttrFormat   = attribute.Key("alchemist.format")      // of a result
	AttrBytes    = attribute.Key("alchemist.bytes")       // size of what is stored
	AttrSeconds  = attribute.Key("alchemist.media.seconds")
	AttrOutcome  = attribute.Key("alchemist.outcome") // done or failed, of a job
)

func sdkVersion() string { return sdk.Version() }

// Start begins a span below that of the context, with its tracer; without
// traces it does nothing. End it.
func Start(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return tracerOf(ctx).Start(ctx, name, trace.WithAttributes(attrs...))
}

// End ends a span. An error shows by its kind alone: what it says may be
// nobody else's to know.
func End(span trace.Span, err error) {
	if err != nil {
		kind := fail.KindOf(err).String()
		span.SetStatus(codes.Error, kind)
		span.SetAttributes(attribute.String("error.type", kind))
	}
	span.End()
}

// tracerOf is the tracer of the span in the context.
func tracerOf(ctx context.Context) trace.Tracer {
	return trace.SpanFromContext(ctx).TracerProvider().Tracer(scope)
}

// propagator reads and writes traceparent and tracestate
// (https://www.w3.org/TR/trace-context/).
var propagator propagation.TraceContext

// Transport makes a client span of each request, up to the header of its
// answer, and sends the trace along; without traces it passes on the one that
// came.
func Transport(base http.RoundTripper) http.RoundTripper { return &transport{base} }

type transport struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(r.Context()).IsValid() {
		return t.base.RoundTrip(r)
	}
	method := knownMethod(r.Method)
	ctx, span := tracerOf(r.Context()).Start(r.Context(), method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("server.address", r.URL.Hostname())))
	defer span.End()
	r = r.Clone(ctx) // a RoundTripper changes no request of its caller's
	propagator.Inject(ctx, propagation.HeaderCarrier(r.Header))
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		span.SetStatus(codes.Error, "no answer")
		span.SetAttributes(attribute.String("error.type", "no answer"))
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= http.StatusBadRequest {
		span.SetStatus(codes.Error, "")
	}
	return resp, nil
}
