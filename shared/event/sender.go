package event

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Sender posts events to one sink: the ingress of a broker (K_SINK).
type Sender struct {
	sink   string
	client *http.Client
}

// NewSender makes a Sender for the URL of a sink. An event that the sink has
// not taken within 10 seconds counts as not sent.
func NewSender(sink string) *Sender {
	return &Sender{sink: sink, client: &http.Client{Timeout: 10 * time.Second}}
}

// Within returns a Sender to the same sink that waits for as long as this.
func (s *Sender) Within(wait time.Duration) *Sender {
	return &Sender{sink: s.sink, client: &http.Client{Timeout: wait}}
}

// Send posts the event in binary mode and returns once the sink has taken it
// (any 2xx; a broker answers 202 after it has stored the event). Everything
// else is fail.Unavailable: the event may or may not have been taken, and may
// be sent again.
func (s *Sender) Send(ctx context.Context, e cloudevents.Event) error {
	ctx, span := Span(ctx, "send", trace.SpanKindProducer, e)
	defer span.End()
	err := s.send(ctx, e)
	if err != nil {
		span.SetStatus(codes.Error, fail.KindOf(err).String())
	}
	return err
}

func (s *Sender) send(ctx context.Context, e cloudevents.Event) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.sink, nil)
	if err != nil {
		return fail.Wrap(fail.Internal, err, "address the sink")
	}
	if err := cehttp.WriteRequest(ctx, binding.ToMessage(&e), req); err != nil {
		return fail.Wrap(fail.Internal, err, "encode event %s", e.ID())
	}
	WriteTrace(req.Header, e)
	resp, err := s.client.Do(req)
	if err != nil {
		// Without the address of the sink, which may hold a secret.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return fail.Wrap(fail.Unavailable, err, "send event %s", e.ID())
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection is kept
	if resp.StatusCode/100 != 2 {
		return fail.New(fail.Unavailable, "The broker answered %d.", resp.StatusCode)
	}
	return nil
}
