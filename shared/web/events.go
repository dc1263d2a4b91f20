package web

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"go.opentelemetry.io/otel/trace"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
)

// maxEvent bounds an event on the wire: its data (event.MaxData), base64 in
// structured mode, and room for attributes.
const maxEvent = 256 << 10

// Events handles CloudEvents over HTTP, binary or structured
// (https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md).
// What h returns decides what the broker does next:
//
//   - an event: 200 with it as the reply, which the broker publishes
//   - no event, no error: 204
//   - an error: the status of its kind. The broker delivers again after 5xx,
//     404, 409 and 429; after any other 4xx it takes the event as delivered.
//
// What is no CloudEvent is a 400.
//
// Each delivery has a span, in the trace of its event, and is counted for the
// function; its lines in the log have job and event.
func Events(function string, m *telemetry.Metrics, h func(context.Context, cloudevents.Event) (*cloudevents.Event, error)) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, maxEvent)
		e, err := cehttp.NewEventFromHTTPRequest(r)
		if err == nil {
			err = e.Validate()
		}
		if err != nil {
			return fail.New(fail.Invalid, "The request is not a valid CloudEvent.")
		}
		event.ReadTrace(r.Header, e)
		ctx, span := event.Span(r.Context(), "process", trace.SpanKindConsumer, *e)
		ctx = telemetry.Label(ctx, labels(*e)...)
		reply, err := h(ctx, *e)
		telemetry.End(span, err)
		m.Delivered(function, event.Known(e.Type()), outcome(err))
		if err != nil {
			Error(w, r.WithContext(ctx), fail.Wrap(fail.KindOf(err), err, "handle event %s", e.ID()))
			return nil
		}
		if reply == nil {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if err := cehttp.WriteResponseWriter(r.Context(), binding.ToMessage(reply), http.StatusOK, w); err != nil {
			// The status is out already: the broker sees a reply that is cut short.
			slog.WarnContext(ctx, "reply not written", "error", err)
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}

// labels are what each line of the log has in a delivery.
func labels(e cloudevents.Event) []slog.Attr {
	all := []slog.Attr{slog.String("event", e.ID())}
	if e.Subject() != "" {
		all = append(all, slog.String("job", e.Subject()))
	}
	return all
}

// outcome is what a broker makes of the answer to a delivery.
func outcome(err error) string {
	if err == nil {
		return telemetry.Done
	}
	switch status := Status(fail.KindOf(err)); {
	case status >= http.StatusInternalServerError, status == http.StatusNotFound, status == http.StatusConflict, status == http.StatusTooManyRequests:
		return telemetry.Again
	}
	return telemetry.Refused
}
