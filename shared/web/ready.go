package web

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// readyWithin bounds one readiness check.
const readyWithin = 3 * time.Second

// readiness answers GET /readyz and the probes. Probes come every few seconds,
// so it logs what has changed since the last one, and the rest as debug.
type readiness struct {
	check func(context.Context) error // nil: always ready

	mu   sync.Mutex
	last string // what clients were told was wrong; empty while ready
}

// ServeHTTP implements http.Handler.
func (s *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.check == nil {
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
