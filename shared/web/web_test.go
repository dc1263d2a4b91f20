package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func problem(t *testing.T, resp *http.Response) Problem {
	t.Helper()
	if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("content type %q", ct)
	}
	var p Problem
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

func call(h http.Handler, method, path string) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result()
}

func TestErrorsBecomeProblems(t *testing.T) {
	tests := map[string]struct {
		err    error
		status int
		detail string
		header string
	}{
		"invalid":      {fail.New(fail.Invalid, "no file"), 400, "no file", ""},
		"unauthorized": {fail.New(fail.Unauthorized, "log in"), 401, "log in", "WWW-Authenticate"},
		"forbidden":    {fail.New(fail.Forbidden, "closed"), 403, "closed", ""},
		"not found":    {fail.New(fail.NotFound, "no job"), 404, "no job", ""},
		"exists":       {fail.New(fail.Exists, "taken"), 409, "taken", ""},
		"too large":    {fail.New(fail.TooLarge, "big"), 413, "big", ""},
		"unsupported":  {fail.New(fail.Unsupported, "odd"), 415, "odd", ""},
		"rate limited": {fail.Later(fail.RateLimited, 1500*time.Millisecond, "slow"), 429, "slow", "Retry-After"},
		"unavailable":  {fail.Wrap(fail.Unavailable, errors.New("secret"), "dial"), 503, fail.Detail(fail.Wrap(fail.Unavailable, io.EOF, "")), ""},
		"internal":     {errors.New("secret"), 500, fail.Detail(errors.New("")), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			resp := call(Handler(func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("ETag", "of what did not come")
				return tt.err
			}), "GET", "/")
			p := problem(t, resp)
			if resp.StatusCode != tt.status || p.Status != tt.status || p.Detail != tt.detail || p.Title != http.StatusText(tt.status) {
				t.Errorf("status %d, problem %+v", resp.StatusCode, p)
			}
			if tt.header != "" && resp.Header.Get(tt.header) == "" {
				t.Errorf("no header %s", tt.header)
			}
			if resp.Header.Get("ETag") != "" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("header %v", resp.Header)
			}
		})
	}
	if got := call(Handler(func(http.ResponseWriter, *http.Request) error { return tests["rate limited"].err }), "GET", "/").Header.Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After %q, want whole seconds, rounded up", got)
	}
}

func TestAnAddressInThePathIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	call(Handler(func(http.ResponseWriter, *http.Request) error { return fail.New(fail.Unavailable, "x") }), "PATCH", "/users/anna@example.com")
	if got := log.String(); strings.Contains(got, "anna") || !strings.Contains(got, "path=/users/…") {
		t.Errorf("logged %s", got)
	}
}

func TestAPanicIsAnInternalError(t *testing.T) {
	resp := call(Handler(func(http.ResponseWriter, *http.Request) error { panic("secret") }), "GET", "/")
	if p := problem(t, resp); p.Status != 500 || strings.Contains(p.Detail, "secret") {
		t.Errorf("problem %+v", p)
	}
}

func TestMuxRefusesWithProblems(t *testing.T) {
	var mux Mux
	mux.Handle("GET /a", http.NotFoundHandler())
	mux.Handle("POST /a", http.NotFoundHandler())
	if resp := call(&mux, "GET", "/b"); problem(t, resp).Status != 404 {
		t.Error("unknown path: no 404")
	}
	resp := call(&mux, "DELETE", "/a")
	if problem(t, resp).Status != 405 || resp.Header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("wrong method: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func uploaded() cloudevents.Event {
	e := cloudevents.New()
	e.SetID("1")
	e.SetType("t")
	e.SetSource("/s")
	_ = e.SetData(cloudevents.ApplicationJSON, map[string]string{"k": "v"})
	return e
}

func TestEvents(t *testing.T) {
	reply := uploaded()
	reply.SetID("2")
	tests := map[string]struct {
		reply  *cloudevents.Event
		err    error
		status int
	}{
		"a reply":       {&reply, nil, 200},
		"no reply":      {nil, nil, 204},
		"try again":     {nil, fail.New(fail.Unavailable, "x"), 503},
		"never again":   {nil, fail.New(fail.Invalid, "x"), 400},
		"of no kind":    {nil, errors.New("x"), 500},
		"kind is kept":  {nil, fmt.Errorf("deep: %w", fail.New(fail.Exists, "x")), 409},
		"with a reason": {nil, fail.Wrap(fail.Unavailable, io.EOF, "read"), 503},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got cloudevents.Event
			srv := httptest.NewServer(Events("test", nil, func(_ context.Context, e cloudevents.Event) (*cloudevents.Event, error) {
				got = e
				return tt.reply, tt.err
			}))
			defer srv.Close()
			e := uploaded()
			req, err := cehttp.NewHTTPRequestFromEvent(t.Context(), srv.URL, e)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if resp.StatusCode != tt.status || got.ID() != "1" || string(got.Data()) != `{"k":"v"}` {
				t.Errorf("status %d, handler got %v", resp.StatusCode, got)
			}
			if tt.reply != nil {
				if back, err := binding.ToEvent(t.Context(), cehttp.NewMessageFromHttpResponse(resp)); err != nil || back.ID() != "2" {
					t.Errorf("reply %v, %v", back, err)
				}
			}
		})
	}
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	h := Events("test", nil, func(context.Context, cloudevents.Event) (*cloudevents.Event, error) {
		t.Error("the handler ran")
		return nil, nil
	})
	for name, body := range map[string]string{"nothing": "", "JSON": `{"a":1}`, "half an event": `{"specversion":"1.0","id":"1"}`} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/cloudevents+json")
		h.ServeHTTP(w, r)
		if w.Code != 400 {
			t.Errorf("%s: status %d, want 400", name, w.Code)
		}
	}
}
