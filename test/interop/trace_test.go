package interop_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
)

// traced is the trace that a subscriber was given.
type traced struct {
	id    string // of the trace; empty for none
	state string // header tracestate
	own   bool   // the event itself has it, too
}

// chain are two subscribers: the first replies with an event for the second.
// Each tells the trace that it was given.
type chain struct{ first, second chan traced }

func (c chain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var got traced
	if h := r.Header.Get("Traceparent"); len(h) == len(trace) {
		got = traced{id: h[3:35], state: r.Header.Get("Tracestate"), own: r.Header.Get("Ce-Traceparent") == h}
	}
	if r.URL.Path != "/first" {
		c.second <- got
		w.WriteHeader(http.StatusNoContent)
		return
	}
	c.first <- got
	next := sampleEvent("e2", "next")
	next.SetType("dev.test.next")
	_ = cehttp.WriteResponseWriter(context.Background(), binding.ToMessage(&next), http.StatusOK, w)
}

// TestBothBrokersCarryTheTrace follows a trace from its sender through a
// subscriber and its reply to the next. Knative takes an extension for a trace
// only where the request had a trace as well, which it replaces.
func TestBothBrokersCarryTheTrace(t *testing.T) {
	const other = "00-11111111111111111111111111111111-2222222222222222-01"
	extension := sampleEvent("e1", "first")
	extension.SetExtension(event.TraceExtension, trace)
	tests := map[string]struct {
		event          cloudevents.Event
		header, state  string
		knative, local string // id of the trace at the subscribers
	}{
		"a header":           {sampleEvent("e1", "first"), trace, "a=1", trace[3:35], trace[3:35]},
		"both":               {extension, trace, "", trace[3:35], trace[3:35]},
		"the extension wins": {extension, other, "", trace[3:35], trace[3:35]},
		"an extension alone": {extension, "", "", "", trace[3:35]},
		"none":               {sampleEvent("e1", "first"), "", "", "", ""},
	}
	manifests := manifestsOf(map[string]string{
		"first":  "filter: {attributes: {type: dev.test.event}}, subscriber: {ref: {kind: Service, name: first}}, delivery: {retry: 1}",
		"second": "filter: {attributes: {type: dev.test.next}}, subscriber: {ref: {kind: Service, name: second}}, delivery: {retry: 1}",
	})
	for broker, run := range brokers {
		c := chain{make(chan traced, 9), make(chan traced, 9)}
		s := httptest.NewServer(c)
		defer s.Close()
		ingress := run(t, manifests, func(service string) string { return s.URL + "/" + service })
		for name, tt := range tests {
			t.Run(broker+" "+name, func(t *testing.T) {
				post(t, ingress, tt.event, http.Header{"Traceparent": {tt.header}, "Tracestate": {tt.state}})
				want := traced{id: tt.knative, state: tt.state}
				if broker == "local" {
					want.id, want.own = tt.local, tt.local != ""
				}
				if got := receive(t, "the event", c.first); got != want {
					t.Errorf("the first subscriber got %+v, want %+v", got, want)
				}
				if got := receive(t, "the reply", c.second); got != want {
					t.Errorf("the second subscriber got %+v, want %+v", got, want)
				}
			})
		}
	}
}

// TestOurSenderGivesKnativeTheTrace is about events as the functions send
// them, whose trace is an extension.
func TestOurSenderGivesKnativeTheTrace(t *testing.T) {
	c := chain{make(chan traced, 9), make(chan traced, 9)}
	s := httptest.NewServer(c)
	defer s.Close()
	ingress := onKnative(t, manifestsOf(map[string]string{"all": "subscriber: {ref: {kind: Service, name: all}}, delivery: {retry: 1}"}),
		func(service string) string { return s.URL + "/" + service })
	if err := event.NewSender(ingress).Send(t.Context(), samples()["ours"]); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "the event", c.second); got.id != trace[3:35] {
		t.Errorf("delivered with %+v, want the trace %s", got, trace)
	}
}

// post posts an event with these headers, those without a value left out.
func post(t *testing.T, ingress string, e cloudevents.Event, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ingress, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := cehttp.WriteRequest(t.Context(), binding.ToMessage(&e), req); err != nil {
		t.Fatal(err)
	}
	for name := range header {
		if value := header.Get(name); value != "" {
			req.Header.Set(name, value)
		}
	}
	send(t, req, http.StatusAccepted)
}
