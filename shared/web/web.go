// Package web is what every function does with HTTP: serving and draining,
// health, errors as status codes, authentication, events in and out. No
// function writes the status of an error: this package does. (The ingress of
// package broker has the few statuses of Knative's.)
package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
)

// Handler answers a request or returns an error, which becomes a problem
// document (RFC 9457) with the status of its kind. It must not have written
// anything when it returns an error. A panic becomes a 500.
type Handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP implements http.Handler.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			slog.ErrorContext(r.Context(), "handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			writeProblem(w, http.StatusInternalServerError, fail.Detail(fail.New(fail.Internal, "")))
		}
	}()
	if err := h(w, r); err != nil {
		Error(w, r, err)
	}
}

// Error answers with the problem document of an error and logs it, once: what
// is our fault as an error, a passing fault as a warning, the client's as debug.
// The path in the log is that of telemetry.Path.
func Error(w http.ResponseWriter, r *http.Request, err error) {
	kind := fail.KindOf(err)
	level := slog.LevelDebug
	switch {
	case r.Context().Err() != nil: // nobody is there to read the answer
	case kind == fail.Internal:
		level = slog.LevelError
	case kind == fail.Unavailable:
		level = slog.LevelWarn
	}
	slog.Log(r.Context(), level, "request failed", "method", r.Method, "path", telemetry.Path(r.URL.Path), "kind", kind.String(), "error", err)
	refuse(w, err)
}

// refuse writes the problem document of an error.
func refuse(w http.ResponseWriter, err error) {
	kind := fail.KindOf(err)
	if after := fail.RetryAfter(err); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	if kind == fail.Unauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="audio-alchemist"`)
	}
	writeProblem(w, Status(kind), fail.Detail(err))
}

// Status returns the HTTP status of a kind of error.
func Status(k fail.Kind) int {
	if s, ok := statuses[k]; ok {
		return s
	}
	return http.StatusInternalServerError
}

var statuses = map[fail.Kind]int{
	fail.Internal:     http.StatusInternalServerError,
	fail.Invalid:      http.StatusBadRequest,
	fail.Unauthorized: http.StatusUnauthorized,
	fail.Forbidden:    http.StatusForbidden,
	fail.NotFound:     http.StatusNotFound,
	fail.Exists:       http.StatusConflict,
	fail.TooLarge:     http.StatusRequestEntityTooLarge,
	fail.Unsupported:  http.StatusUnsupportedMediaType,
	fail.NoSuchRange:  http.StatusRequestedRangeNotSatisfiable,
	fail.RateLimited:  http.StatusTooManyRequests,
	fail.Unavailable:  http.StatusServiceUnavailable,
}

// Problem is the body of every error (RFC 9457).
type Problem struct {
	Type   string `json:"type"`   // always "about:blank": the status says it all
	Title  string `json:"title"`  // the name of the status
	Status int    `json:"status"` // the HTTP status
	Detail string `json:"detail"` // one sentence for the person at the other end
}

func writeProblem(w http.ResponseWriter, status int, detail string) {
	body, _ := json.Marshal(Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "ETag", "Last-Modified", "Location"} {
		h.Del(name) // they spoke of what the answer would have been
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that is gone has no use for it
}

// JSON answers with v as JSON; never cached, as it is somebody's own.
func JSON(w http.ResponseWriter, status int, v any) error {
	body, err := Encode(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

// Encode returns v as one line of JSON with its line break. The & of links
// stays as it is, so that they can be taken out with the simplest of tools.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), fail.Wrap(fail.Internal, err, "encode answer")
}
