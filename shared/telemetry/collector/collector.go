// Package collector is, for tests, a receiver of traces (OTLP over HTTP, in
// protobuf) and a reader of metrics.
package collector

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span as it was received. IDs are in hexadecimal, attributes in
// text.
type Span struct {
	Service               string
	Trace, ID, Parent     string
	Name, Kind            string
	Status, StatusMessage string
	Attributes            map[string]string
	Links                 []string // ids of traces
	Start                 uint64   // nanoseconds since 1970
}

// Collector receives spans until its test ends.
type Collector struct {
	server *httptest.Server

	mu     sync.Mutex
	spans  []Span
	header http.Header
	refuse []int
	errs   []error
}

// ServeHTTP takes spans, for a Collector that its user serves; the zero value
// is ready.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" {
		http.NotFound(w, r)
		return
	}
	c.take(w, r)
}

// Start starts a Collector. What it could not read fails the test.
func Start(t *testing.T) *Collector {
	t.Helper()
	c := &Collector{}
	c.server = httptest.NewServer(c)
	t.Cleanup(func() {
		c.server.Close()
		for _, err := range c.errs {
			t.Error(err)
		}
	})
	return c
}

// URL is where traces go.
func (c *Collector) URL() string { return c.Endpoint() + "/v1/traces" }

// Endpoint is what OTEL_EXPORTER_OTLP_ENDPOINT is to say.
func (c *Collector) Endpoint() string { return c.server.URL }

// Refuse answers the next requests with these statuses.
func (c *Collector) Refuse(statuses ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = statuses
}

// Header is that of the last request.
func (c *Collector) Header() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header
}

// Spans returns what was received, by the time that they began.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.spans)
	slices.SortStableFunc(all, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	return all
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = r.Header
	if len(c.refuse) > 0 {
		w.WriteHeader(c.refuse[0])
		c.refuse = c.refuse[1:]
		return
	}
	body, err := io.ReadAll(r.Body)
	var data tracepb.TracesData // the one field of an ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &data)
	}
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("spans that cannot be read: %w", err))
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, of := range data.GetResourceSpans() {
		service := attributes(of.GetResource().GetAttributes())["service.name"]
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, span(service, s))
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func span(service string, s *tracepb.Span) Span {
	got := Span{
		Service: service, Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Name: s.GetName(), Kind: s.GetKind().String(), Status: s.GetStatus().GetCode().String(), StatusMessage: s.GetStatus().GetMessage(),
		Attributes: attributes(s.GetAttributes()), Start: s.GetStartTimeUnixNano(),
	}
	for _, l := range s.GetLinks() {
		got.Links = append(got.Links, hex.EncodeToString(l.GetTraceId()))
	}
	return got
}

func attributes(all []*commonpb.KeyValue) map[string]string {
	read := map[string]string{}
	for _, a := range all {
		switch v := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			read[a.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			read[a.GetKey()] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_DoubleValue:
			read[a.GetKey()] = fmt.Sprint(v.DoubleValue)
		}
	}
	return read
}
