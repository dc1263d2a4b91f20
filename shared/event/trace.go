package event

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"regexp"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
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

// Trace returns the traceparent of a request if it is a valid one, otherwise
// a new one, sampled.
func Trace(header string) string {
	if traceparent.MatchString(header) {
		return header
	}
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program first
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-01"
}

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
