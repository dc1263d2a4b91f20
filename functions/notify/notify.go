// Package notify is the function that mails the owner of a job when it is
// done, with a link to the result, or has failed, with the reason.
//
// The event only says which job to look at; what is told is what the ledger
// has. A row in the ledger, claimed for the time of sending, sees to it that
// there is one mail for each outcome however often the event comes.
package notify

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Deps is what notify works with.
type Deps struct {
	Metrics   *telemetry.Metrics // nil: nothing is counted
	Ledger    *ledger.Ledger
	Mail      mail.Sender
	Links     *token.Links
	PublicURL string // where people reach the gateway: scheme, host, perhaps a path
}

const (
	sendWithin  = 45 * time.Second // within the timeout of the trigger
	lease       = time.Minute      // more than sendWithin: nobody else begins meanwhile
	linkIsValid = 7 * 24 * time.Hour
)

// New makes the function: it takes events at POST /.
func New(d Deps) http.Handler {
	var mux web.Mux
	mux.Handle("POST /{$}", web.Events("notify", d.Metrics, d.handle))
	return &mux
}

// handle answers nil where there is nothing left to do, so that the broker is
// done with the event.
func (d Deps) handle(ctx context.Context, e cloudevents.Event) (*cloudevents.Event, error) {
	came := time.Now()
	if e.Type() != event.TypeConversionCompleted && e.Type() != event.TypeConversionFailed {
		return nil, fail.New(fail.Invalid, "Events of type %s are not taken here.", e.Type())
	}
	data, err := event.Decode(e)
	if err != nil {
		return nil, err
	}
	log := slog.With("job", data.Job, "event", e.ID())
	j, err := d.Ledger.Job(ctx, data.Job)
	switch {
	case fail.Is(err, fail.NotFound):
		log.InfoContext(ctx, "no notice: the job is gone")
		return nil, nil
	case err != nil:
		return nil, err
	case !j.State.Ended():
		log.InfoContext(ctx, "no notice: the job has no outcome", "state", string(j.State))
		return nil, nil
	}
	holder := uuid.NewString()
	claimed, err := d.claim(ctx, j, holder)
	if err != nil || !claimed {
		return nil, err
	}
	d.Metrics.Claimed("notify", came.Sub(j.EndedAt))
	return nil, d.settle(ctx, log, claim{j, holder, came}, d.tell(ctx, j))
}

// claim takes the notice of the job's outcome, if there is one to send.
func (d Deps) claim(ctx context.Context, j job.Job, holder string) (claimed bool, err error) {
	ctx, span := telemetry.Start(ctx, "claim", telemetry.AttrJob.String(j.ID), telemetry.AttrOutcome.String(string(j.State)))
	defer func() { telemetry.End(span, err) }()
	return d.Ledger.ClaimNotice(ctx, j.ID, j.Run, j.State, holder, lease)
}

// tell mails the outcome of the job to its owner.
func (d Deps) tell(ctx context.Context, j job.Job) error {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	owner, err := d.Ledger.UserByID(ctx, j.Owner)
	if fail.Is(err, fail.NotFound) {
		return fail.Wrap(fail.Invalid, err, "find the owner of job %s", j.ID)
	}
	if err != nil {
		return err
	}
	m, err := d.message(j, owner.Email)
	if err != nil {
		return err
	}
	ctx, span := telemetry.Start(ctx, "send mail", telemetry.AttrJob.String(j.ID), telemetry.AttrOutcome.String(string(j.State)))
	err = d.Mail.Send(ctx, m)
	telemetry.End(span, err)
	return err
}
