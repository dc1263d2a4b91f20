package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// newProvider makes spans that are sent in batches to o.Traces.
func newProvider(o Options) (*sdk.TracerProvider, error) {
	headers, err := parseHeaders(o.Headers)
	if err != nil {
		return nil, err
	}
	sender, err := otlptrace.New(context.Background(), &client{url: o.Traces, headers: headers, http: &http.Client{Timeout: exportWithin}})
	if err != nil {
		return nil, fail.Wrap(fail.Internal, err, "start the exporter")
	}
	return sdk.NewTracerProvider(
		sdk.WithBatcher(&exporter{SpanExporter: sender}),
		sdk.WithSampler(sampler(o.Sampler, o.SamplerArg)),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", o.Service), attribute.String("service.namespace", "audio-alchemist"),
			attribute.String("telemetry.sdk.name", "opentelemetry"), attribute.String("telemetry.sdk.language", "go"),
			attribute.String("telemetry.sdk.version", sdkVersion()),
		)),
	), nil
}

// Samplers are the names that OTEL_TRACES_SAMPLER may have.
func Samplers() []string {
	return []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"}
}

func sampler(name string, arg float64) sdk.Sampler {
	root, ofParent := strings.CutPrefix(name, "parentbased_")
	var s sdk.Sampler
	switch root {
	case "always_off":
		s = sdk.NeverSample()
	case "traceidratio":
		s = sdk.TraceIDRatioBased(arg)
	default:
		s = sdk.AlwaysSample()
	}
	if ofParent || name == "" {
		return sdk.ParentBased(s)
	}
	return s
}

// parseHeaders reads name=value pairs with commas between them, values
// percent-encoded as in a W3C Baggage header. No error repeats them: they may
// hold a secret.
func parseHeaders(list string) (http.Header, error) {
	h := http.Header{}
	for pair := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		plain, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || err != nil || name == "" {
			return nil, fail.New(fail.Invalid, "OTEL_EXPORTER_OTLP_HEADERS: want name=value pairs with commas between them")
		}
		h.Set(name, plain)
	}
	return h, nil
}

// exporter logs when spans are no longer taken, and when they are again: once
// each. To the batcher, whose errors would go to a global handler, all is well.
type exporter struct {
	sdk.SpanExporter
	failing atomic.Bool
}

// ExportSpans implements sdk.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch was := e.failing.Swap(err != nil); {
	case err != nil && !was:
		slog.WarnContext(ctx, "traces are not taken", "spans", len(spans), "error", err)
	case err == nil && was:
		slog.InfoContext(ctx, "traces are taken again")
	}
	return nil
}

const (
	exportWithin = 10 * time.Second // for one request, as the specification has it
	exportTries  = 5
	firstPause   = 500 * time.Millisecond // between two tries, each time twice as long
)

// client posts spans as OTLP over HTTP in protobuf
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp). The exporter that
// OpenTelemetry has for it links gRPC: see ADR 18.
type client struct {
	url     string
	headers http.Header
	http    *http.Client
}

// Start implements otlptrace.Client.
func (*client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. It tries again what may pass.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// An ExportTraceServiceRequest has the same one field, of the same number.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fail.Wrap(fail.Internal, err, "encode spans")
	}
	pause := firstPause
	for try := 1; ; try++ {
		again, after, err := c.post(ctx, body)
		if err == nil || !again || try == exportTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(pause, after)):
		}
		pause *= 2
	}
}

// post sends once. again says whether it may work later, and after how long.
func (c *client) post(ctx context.Context, body []byte) (again bool, after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return false, 0, fail.Wrap(fail.Internal, err, "address the collector")
	}
	req.Header = c.headers.Clone()
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := c.http.Do(req)
	if err != nil {
		// Without the address, which may hold a secret.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return true, 0, fail.Wrap(fail.Unavailable, err, "send spans")
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection is kept
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	if resp.StatusCode/100 == 2 {
		return false, 0, nil
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		after = time.Duration(min(max(s, 0), 30)) * time.Second
	}
	return again, after, fail.New(fail.Unavailable, "The collector answered %d.", resp.StatusCode)
}
