package telemetry

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Handler is the handler of a function with a span for each request, and
// counted. The route is the pattern of http.ServeMux that matched in it. A
// function that is called by another one of the same process has a span below
// that one's. Without traces, the trace that a request came with is in its
// context all the same, for the log and for events.
func (t *Telemetry) Handler(function string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := knownMethod(r.Method)
		ctx, span := t.begin(function, method, r)
		r = r.WithContext(ctx)
		r.Pattern = "" // that of a mux further out
		body := &countedBody{ReadCloser: r.Body}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = body
		}
		answer := &countedAnswer{ResponseWriter: w}
		done := t.Metrics().requestBegins(function)
		began, panicked := time.Now(), true
		defer func() {
			status := answer.status
			switch {
			case panicked:
				status = http.StatusInternalServerError // the connection is cut
			case status == 0:
				status = http.StatusOK
			}
			route := routeOf(r.Pattern)
			done(request{method: method, route: route, status: status, took: time.Since(began), in: body.n.Load(), out: answer.n})
			end(span, method, route, status)
		}()
		next.ServeHTTP(answer, r)
		panicked = false
	})
}

// begin starts the span of a request.
func (t *Telemetry) begin(function, method string, r *http.Request) (context.Context, trace.Span) {
	ctx, attrs := r.Context(), []attribute.KeyValue{AttrFunction.String(function)}
	if there := trace.SpanContextFromContext(ctx); there.IsValid() && !there.IsRemote() {
		return Start(ctx, function, attrs...) // called within the process
	}
	ctx = propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
	if t == nil {
		return ctx, trace.SpanFromContext(context.Background()) // does nothing
	}
	attrs = append(attrs, attribute.String("http.request.method", method), attribute.String("url.path", Path(r.URL.Path)))
	return t.tracer.Tracer(scope).Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attrs...))
}

// Path is the path of a request as traces and the log may have it: what is
// below /users may be the address of a person, and becomes /users/…, wherever
// in the path that is, as it may come as /x/../users/anna@example.com.
func Path(path string) string {
	if strings.Contains(path, "/users/") {
		return "/users/…"
	}
	return path
}

// end ends the span of a request, now that its route is known.
func end(span trace.Span, method, route string, status int) {
	if span.IsRecording() {
		if route != unmatched {
			span.SetName(method + " " + route)
			span.SetAttributes(attribute.String("http.route", route))
		}
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(attribute.String("error.type", strconv.Itoa(status)))
		}
	}
	span.End()
}

// unmatched is the route of a request that no pattern matched.
const unmatched = "unmatched"

// routeOf is a pattern without its method.
func routeOf(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		pattern = path
	}
	if pattern == "" {
		return unmatched
	}
	return pattern
}

// knownMethod is a method by which one may count: anybody can invent others.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "_OTHER" // as OpenTelemetry names it
}

// countedBody counts the bytes of a body. The transport of a proxy may still
// read it when the handler has ended.
type countedBody struct {
	io.ReadCloser
	n atomic.Int64
}

// Read implements io.Reader.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// countedAnswer notes the status and counts the bytes of an answer.
type countedAnswer struct {
	http.ResponseWriter
	status int
	n      int64
}

// Unwrap is for http.ResponseController.
func (a *countedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *countedAnswer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (a *countedAnswer) Write(p []byte) (int, error) {
	a.implied()
	n, err := a.ResponseWriter.Write(p)
	a.n += int64(n)
	return n, err
}

// ReadFrom leaves a file to the ResponseWriter, which may have the kernel copy
// it.
func (a *countedAnswer) ReadFrom(src io.Reader) (int64, error) {
	a.implied()
	n, err := io.Copy(a.ResponseWriter, src)
	a.n += n
	return n, err
}

func (a *countedAnswer) implied() {
	if a.status == 0 {
		a.status = http.StatusOK
	}
}
