package notify

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

const (
	settleBy = 57 * time.Second // after the delivery came: within its timeout, a minute, and the lease
	settleIn = 10 * time.Second // for the ledger in any case, once the mail is sent or not

	// A ledger that is away while a notice is to be closed is asked again after
	// the first pause, and each time after twice as long, up to the longest.
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// claim is a notice that is ours to send.
type claim struct {
	job    job.Job
	holder string
	came   time.Time // when the delivery came, for which it was claimed
}

// settle writes down what came of the sending: even if whoever sent the event
// has hung up meanwhile, or the mail would be sent once more.
func (d Deps) settle(ctx context.Context, log *slog.Logger, c claim, sent error) error {
	bound, cancel := settling(ctx, c.came)
	defer cancel()
	j, refused := c.job, fail.Is(sent, fail.Invalid)
	d.Metrics.Mail(mailOutcome(sent))
	if sent != nil && !refused {
		return errors.Join(sent, d.Ledger.ReleaseNotice(bound, j.ID, j.Run, j.State, c.holder))
	}
	err := again(bound, cutOff(ctx), func() error {
		return d.Ledger.CloseNotice(bound, j.ID, j.Run, j.State, c.holder, refused)
	})
	switch {
	case fail.Is(err, fail.Exists): // it took so long that another has claimed it, or the job is gone
		log.WarnContext(ctx, "notice was no longer ours", "outcome", string(j.State))
	case err != nil:
		return err
	case refused:
		log.WarnContext(ctx, "notice refused for good", "outcome", string(j.State), "error", sent)
	default:
		log.InfoContext(ctx, "notice sent", "outcome", string(j.State))
	}
	return nil
}

// mailOutcome is what became of a mail, for the metrics.
func mailOutcome(sent error) string {
	switch {
	case sent == nil:
		return telemetry.Sent
	case fail.Is(sent, fail.Invalid):
		return telemetry.Refused
	}
	return telemetry.Again
}

// settling returns the context for what follows the sending: it is done when
// the delivery has no more time, but not at once.
func settling(ctx context.Context, came time.Time) (context.Context, context.CancelFunc) {
	until, least := came.Add(settleBy), time.Now().Add(settleIn)
	if until.Before(least) {
		until = least
	}
	return context.WithDeadline(context.WithoutCancel(ctx), until)
}

// again does something until it does not fail for a passing reason any more,
// or ctx is done, or the function is cut off. It returns what came of it last.
func again(ctx context.Context, cutOff func() bool, do func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := do()
		if !fail.Is(err, fail.Unavailable) || cutOff() {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// cutOff tells whether a request has ended because its server does: whoever
// hung up before that has only lost patience.
func cutOff(ctx context.Context) func() bool {
	return func() bool {
		select {
		case <-web.Draining(ctx):
			return ctx.Err() != nil
		default:
			return false
		}
	}
}
