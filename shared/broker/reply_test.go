package broker_test

import (
	"net/http"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
)

func TestReply(t *testing.T) { each(t, reply) }

func reply(t *testing.T, start starter) {
	reply := sample("2")
	reply.SetType("dev.test.b")
	large := reply.Clone()
	_ = large.SetData("text/plain", []byte(strings.Repeat("x", event.MaxData+1)))
	tests := []struct {
		name    string
		serve   http.HandlerFunc
		replied bool
		dead    bool
	}{
		{"binary", func(w http.ResponseWriter, _ *http.Request) { answer(t, w, reply) }, true, false},
		{"structured", func(w http.ResponseWriter, _ *http.Request) {
			body, _ := reply.MarshalJSON()
			w.Header().Set("Content-Type", structured)
			_, _ = w.Write(body)
		}, true, false},
		{"no event", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("thanks")) }, false, false},
		{"one that cannot be read is dropped", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", structured)
			_, _ = w.Write([]byte(`{"specversion`))
		}, false, false},
		{"one that is not valid", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Ce-Specversion", "1.0")
			w.Header().Set("Ce-Type", "dev.test.b")
		}, false, true},
		{"one that is too large", func(w http.ResponseWriter, _ *http.Request) { answer(t, w, large) }, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls, replied, dead := make(chan bool, 9), make(chan cloudevents.Event, 9), make(chan string, 9)
			w := start(t, manifest([4]string{"a", "dev.test.a", "a", quick}, [4]string{"b", "dev.test.b", "b", quick}), map[string]http.HandlerFunc{
				"a": func(w http.ResponseWriter, r *http.Request) {
					calls <- true
					tt.serve(w, r)
				},
				"b":    func(_ http.ResponseWriter, r *http.Request) { replied <- read(t, r) },
				"dead": func(_ http.ResponseWriter, r *http.Request) { dead <- read(t, r).ID() },
			})
			w.send(sample("1"))
			next(t, calls)
			if tt.replied {
				if e := next(t, replied); e.ID() != "2" || string(e.Data()) != `{"n":1}` {
					t.Errorf("got %v, want the reply", e)
				}
			}
			if tt.dead {
				if id := next(t, dead); id != "1" {
					t.Errorf("event %s is dead, want 1", id)
				}
			}
			nothing(t, calls)
			nothing(t, replied)
			nothing(t, dead)
		})
	}
}

func TestReplyContinuesTheTrace(t *testing.T) { each(t, replyContinuesTheTrace) }

func replyContinuesTheTrace(t *testing.T, start starter) {
	const one = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	const two = "00-11111111111111111111111111111111-2222222222222222-01"
	for own, want := range map[string]string{"": one, two: two} {
		traces := make(chan string, 9)
		w := start(t, manifest([4]string{"a", "dev.test.a", "a", quick}, [4]string{"b", "dev.test.b", "b", quick}), map[string]http.HandlerFunc{
			"a": func(w http.ResponseWriter, _ *http.Request) {
				reply := sample("2")
				reply.SetType("dev.test.b")
				if own != "" {
					reply.SetExtension("traceparent", own)
				}
				answer(t, w, reply)
			},
			"b": func(_ http.ResponseWriter, r *http.Request) { traces <- r.Header.Get("traceparent") },
		}, dead)
		e := sample("1")
		e.SetExtension("traceparent", one)
		w.send(e)
		if got := next(t, traces); got != want {
			t.Errorf("a reply with the trace %q was delivered with %q, want %q", own, got, want)
		}
	}
}
