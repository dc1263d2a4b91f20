package web

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// readyWithin bounds one readiness check.
const readyWithin = 3 * time.Second

// readiness answers the probes: /healthz, whether the process answers at all;
// /startz, whether requests could ever be served since it started; and
// whether they can be now for whatever else a probe asks, which is /readyz
// for people. Probes come every few seconds, so it logs what has changed since
// the last one, and the rest as debug.
type readiness struct {
	check     func(context.Context) error // nil: always ready
	functions []string                    // that it is about, told to people
	once      atomic.Bool                 // it has said so

	mu   sync.Mutex
	last string // what clients were told was wrong; empty while ready
}

func (s *readiness) probe(w http.ResponseWriter, r *http.Request) {
	if s.check == nil || r.URL.Path == "/healthz" || r.URL.Path == "/startz" && s.once.Load() {
		ok(w)
		return
	}
	err := s.ask(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	s.once.Store(true)
	ok(w)
}

// ask checks, and logs what has changed.
func (s *readiness) ask(ctx context.Context) error {
	// Whoever asks may have less patience than it takes to find out why.
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyWithin)
	defer cancel()
	err := fail.Wrap(fail.Unavailable, s.check(bound), "check readiness")
	s.log(ctx, err)
	return err
}

// log says once that the server is no longer ready, and why, again when
// something else is wrong, and once that it is ready.
func (s *readiness) log(ctx context.Context, err error) {
	now := ""
	if err != nil {
		now = fail.Detail(err)
	}
	s.mu.Lock()
	last := s.last
	s.last = now
	s.mu.Unlock()
	switch {
	case err != nil && now != last:
		slog.WarnContext(ctx, "not ready", "error", err)
	case err != nil:
		slog.DebugContext(ctx, "still not ready", "error", err)
	case last != "":
		slog.InfoContext(ctx, "ready")
	}
}

// Health answers the probes of people (GET /healthz, /startz and /readyz) for
// a function that no Server serves, and leaves the rest to the function.
type Health struct {
	ready   readiness
	handler http.Handler
}

// NewHealth returns the Health of a function, whose check reports whether
// requests can be served now; of several in one process, with their names.
func NewHealth(h http.Handler, check func(context.Context) error, functions ...string) *Health {
	s := &Health{ready: readiness{check: check, functions: functions}}
	s.handler = health(h, &s.ready)
	return s
}

// ServeHTTP answers a probe, or has the function answer.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.handler.ServeHTTP(w, r) }

// Ready reports whether requests can be served now, and logs what has changed
// since it was asked last.
func (h *Health) Ready(ctx context.Context) bool { return h.ready.ask(ctx) == nil }
