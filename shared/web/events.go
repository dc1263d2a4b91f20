package web

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
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
func Events(h func(context.Context, cloudevents.Event) (*cloudevents.Event, error)) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, maxEvent)
		e, err := cehttp.NewEventFromHTTPRequest(r)
		if err == nil {
			err = e.Validate()
		}
		if err != nil {
			return fail.New(fail.Invalid, "The request is not a valid CloudEvent.")
		}
		reply, err := h(r.Context(), *e)
		if err != nil {
			return fail.Wrap(fail.KindOf(err), err, "handle event %s", e.ID())
		}
		if reply == nil {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if err := cehttp.WriteResponseWriter(r.Context(), binding.ToMessage(reply), http.StatusOK, w); err != nil {
			// The status is out already: the broker sees a reply that is cut short.
			slog.WarnContext(r.Context(), "reply not written", "event", e.ID(), "error", err)
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}
