package broker

import (
	"errors"
	"io"
	"net/http"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Ingress takes events: POST, one CloudEvent in binary or structured mode.
//
//	202  the event is stored, for each trigger that matches it; maybe none
//	400  this is no valid CloudEvent
//	405  another method
//	413  the data of the event exceeds event.MaxData
//	503  the queue could not store it; send it again
//
// The W3C headers traceparent and tracestate become the extensions of those
// names where the event has no trace.
func (b *Broker) Ingress() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status := http.StatusAccepted
		if e, err := b.take(r); err != nil {
			status = statusOf(err)
			b.log.WarnContext(event.InTrace(r.Context(), e), "event refused", "status", status, "event", e.ID(), "job", e.Subject(), "error", err)
		}
		w.WriteHeader(status)
	})
}

func (b *Broker) take(r *http.Request) (cloudevents.Event, error) {
	msg := cehttp.NewMessageFromHttpRequest(r)
	defer func() { _ = msg.Finish(nil) }()
	read, err := binding.ToEvent(r.Context(), msg)
	if err != nil {
		// The error may hide its cause, and then so does what is left to read.
		var tooLarge *http.MaxBytesError
		if _, rest := io.Copy(io.Discard, r.Body); errors.As(err, &tooLarge) || errors.As(rest, &tooLarge) {
			return cloudevents.Event{}, fail.Wrap(fail.TooLarge, err, "read event")
		}
		return cloudevents.Event{}, fail.Wrap(fail.Invalid, err, "read event")
	}
	e := *read
	event.ReadTrace(r.Header, &e)
	p, err := b.publication(e)
	if err != nil {
		return e, err
	}
	return e, fail.Wrap(fail.Unavailable, b.queue.Publish(r.Context(), p.Message, p.Queues...), "publish event")
}

func statusOf(err error) int {
	if fail.Is(err, fail.Invalid) {
		return http.StatusBadRequest
	}
	if fail.Is(err, fail.TooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusServiceUnavailable
}
