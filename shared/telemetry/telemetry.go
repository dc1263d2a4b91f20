// Package telemetry is what the functions tell of themselves: traces in
// OpenTelemetry's form, metrics in that of Prometheus, and the ids of a trace
// in every line of the log.
//
// Nothing of it is global. The composition root opens a Telemetry and hands it
// down; whoever wants a span of his own finds the tracer in the context, where
// Handler has put it. Both are off unless they are asked for, and a nil
// Telemetry or Metrics does nothing.
package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Options say what is told, and to whom.
type Options struct {
	Service    string  // service.name of the spans
	Traces     string  // URL that takes OTLP over HTTP in protobuf, with its path; empty: no traces
	Headers    string  // of each export, as OTEL_EXPORTER_OTLP_HEADERS has them: name=value, …
	Sampler    string  // as OTEL_TRACES_SAMPLER names it; empty is parentbased_always_on
	SamplerArg float64 // the share of traces of a sampler by ratio, 0 to 1

	MetricsAddress string // host:port for GET /metrics; empty: no metrics and no listener
}

// flushWithin bounds the export of the last spans, at the end of the program.
const flushWithin = 5 * time.Second

// Telemetry makes spans and counts for one process.
type Telemetry struct {
	tracer  trace.TracerProvider // never nil
	metrics *Metrics             // nil: not counted
	address string               // where metrics are served
	close   []func(context.Context) error
}

// Open starts what the options ask for. It contacts nobody: spans are sent
// once there are some, and what takes none of them is one line in the log. It
// is fail.Unavailable where MetricsAddress cannot be listened on.
func Open(ctx context.Context, o Options) (*Telemetry, error) {
	t := &Telemetry{tracer: noop.NewTracerProvider()}
	if o.Traces != "" {
		provider, err := newProvider(o)
		if err != nil {
			return nil, err
		}
		t.tracer = provider
		t.close = append(t.close, func(ctx context.Context) error { return shutdown(ctx, provider) })
	}
	if o.MetricsAddress != "" {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.MetricsAddress)
		if err != nil {
			return nil, fail.Wrap(fail.Unavailable, err, "listen on %s for metrics", o.MetricsAddress)
		}
		t.metrics = newMetrics()
		t.address = l.Addr().String()
		t.close = append(t.close, t.serve(l))
	}
	return t, nil
}

// serve answers GET /metrics from the listener; what it returns ends that.
func (t *Telemetry) serve(l net.Listener) func(context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.metrics.registry, promhttp.HandlerOpts{}))
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	return func(ctx context.Context) error {
		err := srv.Shutdown(ctx)
		if err != nil {
			err = srv.Close()
		}
		if served := <-ended; err == nil && !errors.Is(served, http.ErrServerClosed) {
			err = served
		}
		return err
	}
}

// Metrics counts; nil where nobody asked for metrics.
func (t *Telemetry) Metrics() *Metrics {
	if t == nil {
		return nil
	}
	return t.metrics
}

// MetricsAddress is where metrics are served, host:port; empty where they are
// not.
func (t *Telemetry) MetricsAddress() string {
	if t == nil {
		return ""
	}
	return t.address
}

// Close sends the spans that are left, for 5 seconds at most, and stops serving
// metrics. Spans that nobody takes are lost, and no error.
func (t *Telemetry) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	var errs []error
	for _, end := range t.close {
		errs = append(errs, end(ctx))
	}
	t.close = nil
	return fail.Wrap(fail.Internal, errors.Join(errs...), "stop serving metrics")
}

// shutdown sends what is left. A collector that is away keeps no program from
// ending well.
func shutdown(ctx context.Context, provider *sdk.TracerProvider) error {
	if err := provider.Shutdown(ctx); err != nil {
		slog.Warn("spans lost at the end", "error", err)
	}
	return nil
}
