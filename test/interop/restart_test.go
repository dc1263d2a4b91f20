package interop_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// TestAnEventOutlivesItsDispatcher holds what convert relies on: Knative's
// dispatcher cuts a request off when it is stopped, waits for nothing, and the
// next one delivers the event again.
func TestAnEventOutlivesItsDispatcher(t *testing.T) {
	cut, again := make(chan struct{}), make(chan string, 1)
	calls := make(chan struct{}, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls <- struct{}{}
		e, err := cehttp.NewEventFromHTTPRequest(r)
		if err != nil {
			t.Error(err)
			return
		}
		select {
		case <-cut:
			again <- e.ID()
			w.WriteHeader(http.StatusNoContent)
		default:
			<-r.Context().Done()
			close(cut)
		}
	}))
	t.Cleanup(s.Close)
	p := plane(t, rabbitServer(t), s.URL)
	if err := p.Do(func(ch *amqp.Channel) error { return p.Declare(ch) }); err != nil {
		t.Fatal(err)
	}
	servers.StartProgram(t, p.Ingress())
	dispatcher := servers.StartProgram(t, p.Dispatcher(p.Routes[0]))
	sent := samples()["ours"]
	if err := event.NewSender(p.IngressURL()).Send(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	receive(t, "the first delivery", calls)
	if err := dispatcher.Stop(); err != nil {
		t.Fatal(err)
	}
	receive(t, "the end of its request", cut)
	if err := dispatcher.Start(); err != nil {
		t.Fatal(err)
	}
	if id := receive(t, "the second delivery", again); id != sent.ID() {
		t.Errorf("after the restart %s was delivered, want %s", id, sent.ID())
	}
}

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("not within a minute: %s", what)
	}
	panic("not reached")
}
