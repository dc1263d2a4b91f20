package broker_test

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
)

// hangUp ends a request without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func TestStatusDecides(t *testing.T) {
	const retries = 3
	tests := []struct {
		name  string
		calls int    // of the subscriber
		dead  string // knativeerrorcode of the dead letter, if there is to be one
		serve func(w http.ResponseWriter, r *http.Request)
	}{
		{"200", 1, "", status(200)},
		{"202", 1, "", status(202)},
		{"204", 1, "", status(204)},
		{"301 is not followed", 1, "", redirect(301)},
		{"307 is not followed", 1, "", redirect(307)},
		{"304", 1, "", status(304)},
		{"400 counts as delivered", 1, "", status(400)},
		{"401 counts as delivered", 1, "", status(401)},
		{"403 counts as delivered", 1, "", status(403)},
		{"404", retries + 1, "404", status(404)},
		{"405 counts as delivered", 1, "", status(405)},
		{"408", retries + 1, "408", status(408)},
		{"409", retries + 1, "409", status(409)},
		{"410 counts as delivered", 1, "", status(410)},
		{"413 counts as delivered", 1, "", status(413)},
		{"415 counts as delivered", 1, "", status(415)},
		{"422 counts as delivered", 1, "", status(422)},
		{"425 counts as delivered", 1, "", status(425)},
		{"429", retries + 1, "429", status(429)},
		{"500", retries + 1, "500", status(500)},
		{"501", retries + 1, "501", status(501)},
		{"503", retries + 1, "503", status(503)},
		{"599", retries + 1, "599", status(599)},
		{"connection lost", retries + 1, "-1", func(w http.ResponseWriter, _ *http.Request) { hangUp(w) }},
		{"answer cut off", retries + 1, "-1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			hangUp(w)
		}},
		{"503 once", 2, "", first(status(503))},
		{"no answer once", 2, "", first(func(w http.ResponseWriter, _ *http.Request) { hangUp(w) })},
		{"no answer in time once", 2, "", first(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			done, dead := make(chan bool, 99), make(chan cloudevents.Event, 9)
			delivery := strings.Replace(quick, "PT5S", "PT0.5S", 1)
			w := start(t, manifest([4]string{"a", "dev.test.a", "a", delivery}), map[string]http.HandlerFunc{
				"a": func(w http.ResponseWriter, r *http.Request) {
					// Read wholly, so that the server sees the client go.
					_, _ = io.Copy(io.Discard, r.Body)
					calls.Add(1)
					tt.serve(w, r)
					done <- true
				},
				"dead": func(_ http.ResponseWriter, r *http.Request) { dead <- read(t, r) },
			})
			w.send(sample("1"))
			for range tt.calls {
				next(t, done)
			}
			if tt.dead != "" {
				e := next(t, dead)
				if code := sprintf("%v", e.Extensions()[broker.ErrorCode]); code != tt.dead {
					t.Errorf("error code %s, want %s", code, tt.dead)
				}
				data, _ := e.Extensions()[broker.ErrorData].(string)
				text, err := base64.StdEncoding.DecodeString(data)
				if err != nil || strings.Contains(string(text), w.services["a"]) {
					t.Errorf("error data %q (%v) tells the address", text, err)
				}
			}
			nothing(t, done)
			nothing(t, dead)
			if n := int(calls.Load()); n != tt.calls {
				t.Errorf("delivered %d times, want %d", n, tt.calls)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func redirect(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", code) }
}

// first serves the first request by h and answers the others 200.
func first(h http.HandlerFunc) http.HandlerFunc {
	var calls atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			h(w, r)
		}
	}
}

func TestRequestToASubscriber(t *testing.T) { each(t, requestToASubscriber) }

func requestToASubscriber(t *testing.T, start starter) {
	got := make(chan *http.Request, 1)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", ""}), map[string]http.HandlerFunc{
		"a": func(_ http.ResponseWriter, r *http.Request) { got <- r },
	})
	e := sample("id-1")
	e.SetExtension("tenant", "acme")
	w.send(e)
	r := next(t, got)
	for key, want := range map[string]string{
		"Ce-Id": "id-1", "Ce-Type": "dev.test.a", "Ce-Source": "/test", "Ce-Subject": "job-1", "Ce-Specversion": "1.0",
		"Ce-Time": "2026-01-02T03:04:05Z", "Ce-Tenant": "acme", "Content-Type": "application/json", "Prefer": "reply",
	} {
		if r.Header.Get(key) != want {
			t.Errorf("%s: got %q, want %q", key, r.Header.Get(key), want)
		}
	}
	if r.Method != http.MethodPost {
		t.Errorf("method %s, want POST", r.Method)
	}
}

func TestBackoffIsKept(t *testing.T) { each(t, backoffIsKept) }

func backoffIsKept(t *testing.T, start starter) {
	times := make(chan time.Time, 9)
	const delivery = `{retry: 3, backoffPolicy: exponential, backoffDelay: PT0.05S, deadLetterSink: {ref: {kind: Service, name: dead}}}`
	dead := make(chan cloudevents.Event, 1)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", delivery}), map[string]http.HandlerFunc{
		"a": func(w http.ResponseWriter, _ *http.Request) {
			times <- time.Now()
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"dead": func(_ http.ResponseWriter, r *http.Request) { dead <- read(t, r) },
	})
	w.send(sample("1"))
	last := next(t, times)
	for _, want := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
		now := next(t, times)
		if d := now.Sub(last); d < want-time.Millisecond || d > want+2*time.Second {
			t.Errorf("waited %v, want %v", d, want)
		}
		last = now
	}
	next(t, dead)
}

func TestNoDeliveryAnywhereMeansNoRetry(t *testing.T) { each(t, noDeliveryAnywhereMeansNoRetry) }

func noDeliveryAnywhereMeansNoRetry(t *testing.T, start starter) {
	got := make(chan string, 9)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", ""}), map[string]http.HandlerFunc{
		"a": func(w http.ResponseWriter, r *http.Request) {
			got <- read(t, r).ID()
			w.WriteHeader(http.StatusServiceUnavailable)
		},
	})
	w.send(sample("1"))
	next(t, got)
	nothing(t, got)
}

func TestARetryHoldsBackNobody(t *testing.T) { each(t, aRetryHoldsBackNobody) }

func aRetryHoldsBackNobody(t *testing.T, start starter) {
	got := make(chan string, 9)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", `{retry: 1, backoffDelay: PT1H}`}), map[string]http.HandlerFunc{
		"a": func(w http.ResponseWriter, r *http.Request) {
			id := read(t, r).ID()
			got <- id
			if id == "1" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		},
	})
	w.send(sample("1"))
	w.send(sample("2"))
	if a, b := next(t, got), next(t, got); a != "1" || b != "2" {
		t.Errorf("got events %s and %s, want 1 and 2", a, b)
	}
}

func TestDeadLetter(t *testing.T) { each(t, deadLetter) }

func deadLetter(t *testing.T, start starter) {
	long := strings.Repeat("reason ", 500)
	var away atomic.Int32
	dead := make(chan cloudevents.Event, 9)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", quick}), map[string]http.HandlerFunc{
		"a": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, long, http.StatusInternalServerError) },
		"dead": func(w http.ResponseWriter, r *http.Request) {
			// More often than the trigger would retry.
			if away.Add(1) <= 5 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			dead <- read(t, r)
		},
	})
	w.send(sample("id-1"))
	e := next(t, dead)
	if e.ID() != "id-1" || e.Type() != "dev.test.a" || string(e.Data()) != `{"n":1}` {
		t.Errorf("the dead letter is %v, want the event", e)
	}
	if dest := e.Extensions()[broker.ErrorDest]; dest != w.services["a"] {
		t.Errorf("error destination %v, want %s", dest, w.services["a"])
	}
	data, _ := e.Extensions()[broker.ErrorData].(string)
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil || len(data) != 1024 || !strings.HasPrefix(long, string(text)) {
		t.Errorf("error data %q (%v), want the start of the answer", data, err)
	}
	nothing(t, dead)
}

func TestDeadLetterSurvivesARestart(t *testing.T) { each(t, deadLetterSurvivesARestart) }

func deadLetterSurvivesARestart(t *testing.T, start starter) {
	var back atomic.Bool
	tried, dead := make(chan bool, 999), make(chan string, 9)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", quick}), map[string]http.HandlerFunc{
		"a": status(500),
		"dead": func(w http.ResponseWriter, r *http.Request) {
			if !back.Load() {
				tried <- true
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			dead <- read(t, r).ID()
		},
	})
	w.send(sample("1"))
	next(t, tried)
	w.stop()
	back.Store(true)
	w.run()
	if id := next(t, dead); id != "1" {
		t.Errorf("dead letter %s, want 1", id)
	}
}
