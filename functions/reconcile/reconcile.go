// Package reconcile is the function that lets no job end in silence. A ping
// (of a PingSource, or of the ticker on one machine) makes it sweep: what is
// stuck is published again, what nobody refers to or retention no longer keeps
// is deleted. Every other event that reaches it is a dead letter of the
// broker: its job fails with a reason, its owner is told, and the letter is
// written down for administrators.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Deps is what reconcile works with.
type Deps struct {
	Metrics   *telemetry.Metrics // nil: nothing is counted
	Ledger    *ledger.Ledger
	Blobs     blob.Store
	Events    *event.Sender
	Retention time.Duration // age at which jobs are deleted; 0 keeps them
	OrphanAge time.Duration // age at which a blob without a job is deleted
}

type function struct {
	Deps
	sweeping  sync.Mutex
	orphansAt time.Time // when orphans were last looked for
}

// New makes the function.
func New(d Deps) http.Handler {
	f := &function{Deps: d}
	var mux web.Mux
	mux.Handle("POST /{$}", web.Events("reconcile", d.Metrics, f.handle))
	return &mux
}

func (f *function) handle(ctx context.Context, e cloudevents.Event) (*cloudevents.Event, error) {
	if e.Type() == event.TypePing {
		if !f.sweeping.TryLock() {
			return nil, nil // the sweep before this one is not done yet
		}
		defer f.sweeping.Unlock()
		return nil, f.sweep(ctx)
	}
	return nil, f.deadLetter(ctx, e)
}

// deadLetter ends the job of an event that could not be delivered, and writes
// the letter down. Of an outcome there is nothing to end: the sweep tells its
// owner again while that makes sense.
func (f *function) deadLetter(ctx context.Context, e cloudevents.Event) error {
	slog.WarnContext(ctx, "dead letter", "event", e.ID(), "type", e.Type(), "job", e.Subject(), "code", e.Extensions()[errorCode])
	f.Metrics.DeadLetter(event.Known(e.Type()))
	l := letterOf(e)
	switch e.Type() {
	default:
		return f.keep(ctx, l, 0)
	case event.TypeVideoUploaded, event.TypeConversionCompleted, event.TypeConversionFailed:
	}
	data, err := event.Decode(e)
	if err != nil {
		if kept := f.keep(ctx, l, 0); kept != nil {
			return kept // to be delivered again, which an invalid event is not
		}
		return err
	}
	l.Job = data.Job
	if e.Type() == event.TypeVideoUploaded {
		err = f.giveUp(ctx, data.Job, data.Run, "The conversion was tried several times and could not be finished. Retry it later.")
	}
	return errors.Join(err, f.keep(ctx, l, data.Run))
}

// giveUp fails a job for good and sends the event that tells its owner. A job
// that has ended meanwhile, or is gone, is left alone.
func (f *function) giveUp(ctx context.Context, id string, run int, reason string) error {
	j, err := f.Ledger.GiveUp(ctx, id, run, reason)
	if fail.Is(err, fail.Exists) {
		return nil
	}
	if err != nil {
		return err
	}
	slog.WarnContext(ctx, "job given up", "job", id, "run", run)
	e, _ := ledger.OutcomeEvent(j)
	if err := f.Events.Send(ctx, e); err != nil {
		slog.WarnContext(ctx, "event left for the sweep", "job", id, "error", err)
	}
	return nil
}
