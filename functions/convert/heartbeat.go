package convert

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// heartbeat renews the claim of one attempt and writes its progress, and ends
// the attempt once the claim is lost.
type heartbeat struct {
	percent atomic.Int64
	cancel  context.CancelCauseFunc
	done    chan struct{}
	ctx     context.Context
}

// heartbeat starts one; the returned context is that of the attempt. stop
// must be called.
func (d Deps) heartbeat(ctx context.Context, id, holder string) (*heartbeat, context.Context) {
	b := &heartbeat{done: make(chan struct{})}
	b.ctx, b.cancel = context.WithCancelCause(ctx)
	go func() {
		defer close(b.done)
		d.beat(b, id, holder)
	}()
	return b, b.ctx
}

// beat writes once a second while the progress changes, and otherwise every
// three seconds, or more often where the lease is short: that is also how soon
// the work stops once its job is deleted.
func (d Deps) beat(b *heartbeat, id, holder string) {
	tick := time.NewTicker(min(time.Second, d.Lease/10))
	defer tick.Stop()
	renewed, written := time.Now(), 0
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-tick.C:
		}
		percent := int(b.percent.Load())
		if percent == written && time.Since(renewed) < min(d.Lease/3, 3*time.Second) {
			continue
		}
		began := time.Now()
		switch err := d.renew(b.ctx, id, holder, percent, renewed.Add(d.Lease)); {
		case err == nil:
			renewed, written = began, percent
		case fail.Is(err, fail.Exists):
			b.cancel(err)
		case time.Since(renewed) >= d.Lease: // another may hold it by now
			b.cancel(fail.Wrap(fail.Unavailable, err, "keep the claim"))
		}
	}
}

// renew waits for the ledger for a third of the lease, and never longer than
// the lease has left: a ledger that does not answer must not keep the attempt
// going after another may have claimed the job.
func (d Deps) renew(ctx context.Context, id, holder string, percent int, until time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, min(d.Lease/3, time.Until(until)))
	defer cancel()
	return d.Ledger.Renew(ctx, id, holder, d.Lease, percent)
}

// progress notes how far the work is, in per cent.
func (b *heartbeat) progress(percent int) { b.percent.Store(int64(percent)) }

// verdict returns why the heartbeat ended the attempt, if it did, and err
// otherwise.
func (b *heartbeat) verdict(err error) error {
	if e := (*fail.Error)(nil); b.ctx.Err() != nil && errors.As(context.Cause(b.ctx), &e) {
		return e
	}
	return err
}

// stop ends the heartbeat and waits for it.
func (b *heartbeat) stop() {
	b.cancel(nil)
	<-b.done
}
