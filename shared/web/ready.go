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
	check func(context.Context) error // nil: always ready
	once  atomic.Bool                 // it has said so

	mu   sync.Mutex
	last string // what clients were told was wrong; empty while ready
}

func (s *readiness) probe(w http.ResponseWriter, r *http.Request) {
	if s.check == nil || r.URL.Path == "/healthz" || r.URL.Path == "/startz" && s.once.Load() {
		ok(w)
		return
	}
	// Whoever asks may have less patience than it takes to find out why.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), readyWithin)
	defer cancel()
	err := fail.Wrap(fail.Unavailable, s.check(ctx), "check readiness")
	s.log(r.Context(), err)
	if err != nil {
		refuse(w, err)
		return
	}
	s.once.Store(true)
	ok(w)
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
