// Package alchemist is the composition root: it makes the functions of the
// configuration and joins them.
//
// As a function of Knative's func it is the whole system in one process, or,
// with FUNCTION=convert, that one function. Program cmd/alchemist runs the
// same system by itself.
package alchemist

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Function is what Knative's func runs: Start, Handle for each request, Stop
// when no request is left. func serves while Start is still at work.
type Function struct{ started atomic.Pointer[parts] }

// parts is what Start has made.
type parts struct {
	health   *web.Health
	serve    http.Handler    // with the health
	draining context.Context // done once the function is to end
	stop     func() error
}

func newParts(h http.Handler, ready func(context.Context) error, stop func() error, functions ...string) *parts {
	health := web.NewHealth(h, ready, functions...)
	return &parts{health: health, serve: web.Patient(health), stop: stop}
}

// New is called by func, once.
func New() *Function { return &Function{} }

// Start opens what the function needs. The map overrides the environment; func
// makes it of the file cfg in the working folder, and of the environment.
//
// When ctx ends, and when the process is told to by SIGTERM or an interrupt,
// answers that could go on for ever end: func calls Stop only when no request
// is left.
func (f *Function) Start(ctx context.Context, env map[string]string) error {
	draining, forget := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	p, err := openParts(ctx, env)
	if err != nil {
		forget()
		return err
	}
	end := p.stop
	p.draining, p.stop = draining, func() error { forget(); return end() }
	f.started.Store(p)
	return nil
}

// openParts makes what Start serves.
func openParts(ctx context.Context, env map[string]string) (*parts, error) {
	c, err := config.Load(func(name string) string {
		if v, ok := env[name]; ok {
			return v
		}
		return os.Getenv(name)
	})
	if err != nil {
		return nil, err
	}
	slog.SetDefault(telemetry.Logger(c.Logger(os.Stderr)))
	if c.Function != "" {
		return openOne(ctx, c)
	}
	s, err := Open(ctx, c, os.Stdout)
	if err != nil {
		return nil, err
	}
	s.Start()
	return newParts(s.Handler(), s.Ready, s.Stop, config.Functions()...), nil
}

// openOne makes the single function that FUNCTION names.
func openOne(ctx context.Context, c config.Config) (*parts, error) {
	o := backend.New(ctx)
	handler := builders[c.Function](c, o)
	if err := o.Err(); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return newParts(handler, o.Ready, o.Close), nil
}

// Handle answers one request, with 503 as long as Start has not ended.
func (f *Function) Handle(w http.ResponseWriter, r *http.Request) {
	p := f.started.Load()
	if p == nil {
		web.Error(w, r, fail.New(fail.Unavailable, "The function has not started yet."))
		return
	}
	p.serve.ServeHTTP(w, r.WithContext(web.WithDraining(r.Context(), p.draining.Done())))
}

// Ready reports whether requests can be answered now. Why not is in the log
// alone: what an error says, func would show to whoever asks.
func (f *Function) Ready(ctx context.Context) (bool, error) {
	p := f.started.Load()
	return p != nil && p.health.Ready(ctx), nil
}

// Alive reports that the process works at all.
func (f *Function) Alive(context.Context) (bool, error) { return true, nil }

// Stop ends the function; deliveries under way may take DRAIN_TIMEOUT.
func (f *Function) Stop(context.Context) error {
	p := f.started.Load()
	if p == nil {
		return nil
	}
	return p.stop()
}
