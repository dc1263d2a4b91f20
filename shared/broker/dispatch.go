package broker

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// The extensions that a dead letter has in addition
// (https://knative.dev/docs/eventing/event-delivery/).
const (
	ErrorDest = "knativeerrordest" // URL of the subscriber
	ErrorCode = "knativeerrorcode" // its last status, or -1 for none
	ErrorData = "knativeerrordata" // its last answer: base64, cut after maxErrorData bytes
)

const (
	maxErrorData = 1024
	noStatus     = -1
	finishIn     = 30 * time.Second // bounds the write that ends a delivery
)

// answer is what a subscriber made of an event.
type answer struct {
	status int                // noStatus when there was none
	body   []byte             // of an answer that is no event, or why there was none
	reply  *cloudevents.Event // of a 2xx
	err    error              // why the reply of a 2xx cannot be published
}

// verdict is what becomes of an event after an answer.
type verdict int

const (
	delivered verdict = iota
	refused           // counts as delivered: trying again would not help
	failed            // to be tried again
)

// judge tells whether an event is to be retried, as Knative does: after no
// answer, 5xx, 404, 408, 409 and 429. Every other status ends the delivery.
func judge(status int) verdict {
	switch {
	case status >= 200 && status <= 299:
		return delivered
	case status >= 500, status == noStatus, status == http.StatusNotFound, status == http.StatusRequestTimeout,
		status == http.StatusConflict, status == http.StatusTooManyRequests:
		return failed
	default:
		return refused
	}
}

// deliver posts one event and ends its delivery. hard bounds the request. A
// delivery that cannot be ended comes again.
func (b *Broker) deliver(hard context.Context, r *route, d Delivery) {
	e := d.Message().Event
	log := b.log.With("queue", r.queue, "attempt", d.Message().Attempt, "event", e.ID(), "job", e.Subject())
	a := b.post(hard, r, e)
	ctx, cancel := context.WithTimeout(event.InTrace(context.WithoutCancel(hard), e), finishIn)
	defer cancel()
	if err := b.finish(ctx, log, r, d, e, a, hard.Err() != nil); err != nil {
		log.ErrorContext(ctx, "delivery could not be ended", "error", err)
	}
}

// finish ends a delivery by its answer. cancelled says that requests are cut
// off because the broker stops.
func (b *Broker) finish(ctx context.Context, log *slog.Logger, r *route, d Delivery, e cloudevents.Event, a answer, cancelled bool) error {
	log = log.With("status", a.status)
	if a.status == noStatus && cancelled {
		return d.Return(ctx)
	}
	switch judge(a.status) {
	case delivered:
		return b.reply(ctx, log, r, d, e, a)
	case refused:
		log.WarnContext(ctx, "event refused by its subscriber, which counts as delivered")
		return d.Ack(ctx)
	case failed:
	}
	n := d.Message().Attempt + 1
	if !r.forever && n > r.policy.Retry {
		return b.bury(ctx, log, r, d, e, a)
	}
	wait := r.policy.wait(n, r.forever)
	log.InfoContext(ctx, "event will be delivered again", "in", wait)
	return d.Retry(ctx, wait)
}

// reply ends a delivery and publishes the subscriber's reply in the same
// step. A reply that the ingress would refuse makes its cause a dead letter.
func (b *Broker) reply(ctx context.Context, log *slog.Logger, r *route, d Delivery, e cloudevents.Event, a answer) error {
	if a.reply == nil && a.err == nil {
		return d.Ack(ctx)
	}
	p, err := b.replyTo(e, a)
	if err != nil {
		log.WarnContext(ctx, "reply cannot be published", "error", err)
		a.body = []byte(err.Error())
		return b.bury(ctx, log, r, d, e, a)
	}
	return d.Ack(ctx, p)
}

// replyTo routes a reply. One without a trace continues that of its cause.
func (b *Broker) replyTo(cause cloudevents.Event, a answer) (Publication, error) {
	if a.err != nil {
		return Publication{}, a.err
	}
	event.ContinueTrace(a.reply, cause)
	return b.publication(*a.reply)
}

// bury ends a delivery as a dead letter, or drops the event where there is
// no dead letter sink.
func (b *Broker) bury(ctx context.Context, log *slog.Logger, r *route, d Delivery, e cloudevents.Event, a answer) error {
	if r.dead == "" {
		log.ErrorContext(ctx, "event dropped: not delivered, and no dead letter sink")
		return d.Ack(ctx)
	}
	log.WarnContext(ctx, "event becomes a dead letter")
	e = e.Clone()
	e.SetExtension(ErrorDest, r.target)
	e.SetExtension(ErrorCode, a.status)
	if data := base64.StdEncoding.EncodeToString(a.body); data != "" {
		e.SetExtension(ErrorData, data[:min(len(data), maxErrorData)])
	}
	return d.Ack(ctx, Publication{Message: Message{Event: e}, Queues: []string{r.dead}})
}

// post sends an event to a subscriber and reads its answer.
func (b *Broker) post(hard context.Context, r *route, e cloudevents.Event) answer {
	ctx, cancel := context.WithTimeout(hard, r.policy.Timeout)
	defer cancel()
	req, err := request(ctx, r.target, e)
	if err != nil {
		return unanswered(err)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return unanswered(err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode}
	if judge(a.status) != delivered {
		a.body, _ = io.ReadAll(io.LimitReader(resp.Body, maxErrorData))
		return a
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		// The reply may be cut off: the event counts as not delivered.
		return unanswered(err)
	}
	a.reply, a.err = readReply(ctx, resp.Header, body)
	return a
}

// readReply returns the event of an answer, or nil where it is none. Like
// Knative it takes an answer that looks like an event and cannot be read as
// one for none.
func readReply(ctx context.Context, header http.Header, body []byte) (*cloudevents.Event, error) {
	msg := cehttp.NewMessage(header, io.NopCloser(bytes.NewReader(body)))
	if msg.ReadEncoding() == binding.EncodingUnknown {
		return nil, nil
	}
	if len(body) > maxBody {
		return nil, fail.New(fail.TooLarge, "The reply has more than %d bytes.", maxBody)
	}
	// An error comes with no event, and is not told.
	reply, _ := binding.ToEvent(ctx, msg)
	return reply, nil
}

// unanswered is an answer that did not come. What the client says is told
// without the URL, which is knativeerrordest and may be nobody else's to know.
func unanswered(err error) answer {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return answer{status: noStatus, body: []byte(err.Error())}
}

func request(ctx context.Context, target string, e cloudevents.Event) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return nil, err
	}
	if err := cehttp.WriteRequest(binding.WithForceBinary(ctx), binding.ToMessage(&e), req); err != nil {
		return nil, err
	}
	req.Header.Set("Prefer", "reply")
	event.WriteTrace(req.Header, e)
	return req, nil
}
