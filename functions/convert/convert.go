// Package convert is the function that makes audio of an uploaded video: the
// handler of video.uploaded events. It replies with the event of the outcome,
// conversion.completed or conversion.failed.
//
// The ledger decides who converts: a delivery claims the job with a lease and
// renews it while it works. Every attempt writes a blob of its own, and only
// the one that the ledger takes stays.
package convert

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/media"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Deps is what convert works with.
type Deps struct {
	Metrics *telemetry.Metrics // nil: nothing is counted
	Ledger  *ledger.Ledger
	Blobs   blob.Store
	Media   media.Tools
	WorkDir string        // for temporary files, which never have a name for long; os.TempDir() where empty
	Timeout time.Duration // longest attempt, storing and answering included; 10 minutes where zero
	Bitrate int           // of an MP3 for which none was asked for, in bit/s; 192000 where zero
	Longest time.Duration // longest sound that is converted; 12 hours where zero
	Largest int64         // largest result, in bytes; 16 GiB where zero
	Lease   time.Duration // how long a claim outlives its holder; 30 seconds where zero
}

// settleIn bounds what is written to the ledger at the end of an attempt,
// which the end of the request does not stop.
const settleIn = 10 * time.Second

// copyUpTo is the largest video, in bytes, that is copied from a store without
// files rather than streamed: copying one takes as long as asking for a few
// ranges of it.
const copyUpTo = 8 << 20

// New makes the function.
func New(d Deps) http.Handler {
	var mux web.Mux
	mux.Handle("POST /{$}", web.Events("convert", d.Metrics, withDefaults(d).handle))
	return &mux
}

func withDefaults(d Deps) Deps {
	d.Media.WorkDir, d.Media.Bitrate, d.Media.MaxResult = d.WorkDir, d.Bitrate, d.Largest
	if d.Media.CopyUpTo == 0 {
		d.Media.CopyUpTo = copyUpTo
	}
	if d.Longest == 0 {
		d.Longest = 12 * time.Hour
	}
	d.Media.MaxDuration = d.Longest
	if d.Timeout == 0 {
		d.Timeout = 10 * time.Minute
	}
	if d.Lease == 0 {
		d.Lease = 30 * time.Second
	}
	return d
}

// handle answers a delivery: the outcome's event once the job has one, no
// event for a job that is gone, and an error that asks for another delivery
// while another attempt is under way or after a passing fault.
func (d Deps) handle(ctx context.Context, e cloudevents.Event) (*cloudevents.Event, error) {
	if e.Type() != event.TypeVideoUploaded {
		return nil, fail.New(fail.Invalid, "This function takes events of type %s only.", event.TypeVideoUploaded)
	}
	data, err := event.Decode(e)
	if err != nil {
		return nil, err
	}
	holder := uuid.NewString()
	log := slog.With("job", data.Job, "event", e.ID())
	j, err := d.claim(ctx, data.Job, holder)
	switch {
	case fail.Is(err, fail.NotFound):
		log.InfoContext(ctx, "job is gone")
		return nil, nil
	case err != nil:
		return nil, err
	case j.State.Ended():
		return outcome(j), nil
	}
	began := time.Now()
	log.InfoContext(ctx, "conversion started", "attempt", j.Attempts, "bytes", j.Bytes)
	settled := false
	defer func() {
		if !settled { // a panic: the next delivery need not wait for the lease
			d.release(ctx, log, j.ID, holder)
		}
	}()
	results, err := d.attempt(ctx, j, holder)
	settled = true
	d.count(j, results, err, time.Since(began))
	reply, err := d.settle(ctx, log, j, holder, results, err)
	if err == nil && reply != nil {
		log.InfoContext(ctx, "conversion ended", "outcome", reply.Type(), "took", time.Since(began).Round(time.Millisecond))
	}
	return reply, err
}

// claim claims the job, and counts how long it has waited.
func (d Deps) claim(ctx context.Context, id, holder string) (j job.Job, err error) {
	ctx, span := telemetry.Start(ctx, "claim", telemetry.AttrJob.String(id))
	defer func() {
		span.SetAttributes(telemetry.AttrAttempt.Int(j.Attempts))
		telemetry.End(span, err)
	}()
	j, err = d.Ledger.Claim(ctx, id, holder, d.Lease)
	switch {
	case err != nil || j.State.Ended():
	case j.Attempts > 1:
		d.Metrics.ClaimedAgain()
	case j.Run == 0: // of a later run nobody knows when it began
		d.Metrics.Claimed("convert", j.UpdatedAt.Sub(j.CreatedAt))
	}
	return j, err
}

// count counts an attempt that has ended.
func (d Deps) count(j job.Job, made []job.Result, err error, took time.Duration) {
	what := telemetry.Done
	switch {
	case err == nil:
		var audio int64
		var length time.Duration
		for _, r := range made {
			audio, length = audio+r.Bytes, length+r.Duration
		}
		d.Metrics.Converted(j.Bytes, audio, length)
	case fail.Is(err, fail.Invalid):
		what = telemetry.Failed
	case fail.Is(err, fail.Exists):
		what = telemetry.Lost
	default:
		what = telemetry.Again
	}
	var formats []string
	for _, f := range j.Options.Outputs() {
		formats = append(formats, string(f))
	}
	d.Metrics.Conversion(what, formats, took)
}

// settle writes what became of an attempt to the ledger, and finds the answer.
func (d Deps) settle(ctx context.Context, log *slog.Logger, j job.Job, holder string, made []job.Result, err error) (*cloudevents.Event, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
	defer cancel()
	switch {
	case err == nil:
		return d.complete(ctx, log, j, holder, made)
	case fail.Is(err, fail.Exists):
		return d.lost(ctx, log, j.ID)
	case fail.Is(err, fail.Invalid):
		log.InfoContext(ctx, "video refused", "reason", err)
		ended, err := d.Ledger.Fail(ctx, j.ID, holder, fail.Detail(err))
		if fail.Is(err, fail.Exists) {
			return d.lost(ctx, log, j.ID)
		}
		if err != nil {
			return nil, err
		}
		return outcome(ended), nil
	}
	d.release(ctx, log, j.ID, holder)
	return nil, err
}

// complete makes the job done. The blobs go if the ledger did not take it;
// where nobody can tell, they are left to the sweep.
func (d Deps) complete(ctx context.Context, log *slog.Logger, j job.Job, holder string, made []job.Result) (*cloudevents.Event, error) {
	ended, err := d.Ledger.Complete(ctx, j.ID, holder, made)
	if err == nil {
		return outcome(ended), nil
	}
	if fail.Is(err, fail.Exists) {
		d.discard(ctx, log, made)
		return d.lost(ctx, log, j.ID)
	}
	return nil, err
}

// lost answers for a claim that is no longer held: the job is gone, has ended
// by another's work, or is another's now.
func (d Deps) lost(ctx context.Context, log *slog.Logger, id string) (*cloudevents.Event, error) {
	j, err := d.Ledger.Job(ctx, id)
	switch {
	case fail.Is(err, fail.NotFound):
		log.InfoContext(ctx, "job was deleted during its conversion")
		return nil, nil
	case err != nil:
		return nil, err
	case j.State.Ended():
		return outcome(j), nil
	}
	log.WarnContext(ctx, "claim lost to another delivery")
	return nil, fail.New(fail.Unavailable, "Another delivery converts this job.")
}

func (d Deps) release(ctx context.Context, log *slog.Logger, id, holder string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
	defer cancel()
	if err := d.Ledger.Release(ctx, id, holder); err != nil && !fail.Is(err, fail.Exists) {
		log.WarnContext(ctx, "claim left to run out", "error", err)
	}
}

func (d Deps) discard(ctx context.Context, log *slog.Logger, made []job.Result) {
	for _, r := range made {
		if err := d.Blobs.Delete(ctx, blob.Audio, r.FID); err != nil {
			log.WarnContext(ctx, "audio left for the sweep", "fid", r.FID, "error", err)
		}
	}
}

// outcome is the event of a job that has ended.
func outcome(j job.Job) *cloudevents.Event {
	e, _ := ledger.OutcomeEvent(j)
	return &e
}
