package telemetry

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// Logger returns a logger whose lines have what the context knows: trace_id
// and span_id where there is a trace, and what Label has put there. A line
// that says something of the same name keeps what it says.
func Logger(l *slog.Logger) *slog.Logger { return slog.New(&logs{Handler: l.Handler()}) }

type labelKey struct{}

// Label returns a context for which Logger's lines have these attributes too,
// such as job and event.
func Label(ctx context.Context, attrs ...slog.Attr) context.Context {
	before, _ := ctx.Value(labelKey{}).([]slog.Attr)
	return context.WithValue(ctx, labelKey{}, slices.Concat(before, attrs))
}

type logs struct {
	slog.Handler
	said []string // keys of WithAttrs
}

// Handle implements slog.Handler.
func (h *logs) Handle(ctx context.Context, r slog.Record) error {
	said := slices.Clone(h.said)
	r.Attrs(func(a slog.Attr) bool {
		said = append(said, a.Key)
		return true
	})
	var more []slog.Attr
	if labels, ok := ctx.Value(labelKey{}).([]slog.Attr); ok {
		more = append(more, labels...)
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		more = append(more, slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	if len(more) > 0 {
		r = r.Clone()
	}
	for _, a := range more {
		if !slices.Contains(said, a.Key) {
			r.AddAttrs(a)
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *logs) WithAttrs(attrs []slog.Attr) slog.Handler {
	said := slices.Clone(h.said)
	for _, a := range attrs {
		said = append(said, a.Key)
	}
	return &logs{Handler: h.Handler.WithAttrs(attrs), said: said}
}

// WithGroup implements slog.Handler.
func (h *logs) WithGroup(name string) slog.Handler {
	return &logs{Handler: h.Handler.WithGroup(name), said: h.said}
}
