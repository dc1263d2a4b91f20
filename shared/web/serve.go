package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"knative.dev/pkg/network/handlers"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Server says how a function is served.
type Server struct {
	Handler http.Handler

	// Ready reports whether requests can be served now; nil means always.
	// GET /readyz asks it, and so do the probes of Kubernetes and Knative,
	// unless they ask for /healthz, or for /startz when it has said yes once.
	Ready func(context.Context) error

	// Functions names what Ready is about where that are several functions in
	// one process; nil for one. GET /readyz has them in HeaderFunctions.
	Functions []string

	// Drain is how long requests that are under way may still take once
	// serving is to end. After that their contexts are cancelled, and 3 seconds
	// later their connections are closed.
	Drain time.Duration

	// Silence is how long a client may send nothing of its body, and take
	// nothing of its answer, before it is cut off; 0 means as in Patient.
	Silence time.Duration
}

// HeaderFunctions is the header in which GET /readyz tells of which functions
// it does: names with commas between. Without it, it is of one function, and
// says nothing about those behind it.
const HeaderFunctions = "Alchemist-Functions"

// settleWithin is for handlers that were cut off, to give back what they hold.
const settleWithin = 3 * time.Second

// Serve answers requests from the listener until ctx is done, then drains: it
// takes no new connection, tells long answers to end (see Draining), waits
// for the others, and returns nil. It returns an error if serving ends by
// itself. It closes the listener.
func (s Server) Serve(ctx context.Context, l net.Listener) error {
	ready := &readiness{check: s.Ready, functions: s.Functions}
	drainer := &handlers.Drainer{Inner: patient(health(s.Handler, ready), s.Silence), HealthCheck: ready.probe, QuietPeriod: time.Millisecond}
	draining, startDraining := context.WithCancel(context.Background())
	requests, endRequests := context.WithCancel(WithDraining(context.Background(), draining.Done()))
	defer endRequests()
	srv := &http.Server{
		Handler:           drainer,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		startDraining()
		return fail.Wrap(fail.Internal, err, "serve on %s", l.Addr())
	case <-ctx.Done():
	}
	startDraining()
	quiet := make(chan struct{})
	go func() { // returns once no request has come for a moment
		drainer.Drain()
		close(quiet)
	}()
	// The context that ended this one is no bound on what comes after it.
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Drain)
	defer cancel()
	err := srv.Shutdown(bound)
	if err != nil {
		slog.Warn("requests cut off", "after", s.Drain)
		endRequests()
		settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
		defer cancel()
		if err = srv.Shutdown(settle); err != nil {
			err = srv.Close()
		}
	}
	<-quiet
	if served := <-ended; err == nil && !errors.Is(served, http.ErrServerClosed) {
		err = served
	}
	return fail.Wrap(fail.Internal, err, "stop serving on %s", l.Addr())
}

// health answers GET /healthz, /startz and /readyz, and leaves the rest to the
// handler.
func health(h http.Handler, ready *readiness) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz", "/startz", "/readyz":
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				if r.URL.Path == "/readyz" && len(ready.functions) > 0 {
					w.Header().Set(HeaderFunctions, strings.Join(ready.functions, ", "))
				}
				ready.probe(w, r)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

func ok(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, "ok\n")
}

type drainKey struct{}

// WithDraining returns a context for requests whose server begins to drain when
// done is closed (see Draining). A Server gives its requests one by itself; who
// serves a function in another way gives it to each.
func WithDraining(ctx context.Context, done <-chan struct{}) context.Context {
	return context.WithValue(ctx, drainKey{}, done)
}

// Draining returns a channel that is closed when the server of this request
// begins to drain: an answer that could go on for ever ends then. It is nil,
// and so never closed, where nobody has said so, by Serve or WithDraining.
func Draining(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(drainKey{}).(<-chan struct{})
	return c
}
