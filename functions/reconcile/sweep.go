package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
)

const (
	batch        = 100                // rows or blobs looked at together
	maxAttempts  = 25                 // claims of one run before it is given up
	tellFor      = 3 * 24 * time.Hour // how long its owner is told of an outcome that no mail could tell
	interrupted  = "The conversion was interrupted too often and was given up. Retry it later."
	maxPerSweep  = 10 * batch // jobs published again by one sweep
	perSweepTime = 4 * time.Minute
)

// sweep does everything once; a part that fails does not keep the others from
// running.
func (f *function) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, perSweepTime)
	defer cancel()
	return errors.Join(
		f.wake(ctx),
		f.count(ctx),
		f.expire(ctx),
		f.pruneLetters(ctx),
		f.removeOrphans(ctx),
		f.Blobs.Sweep(ctx),
		f.Ledger.PruneLoginFailures(ctx, f.Ledger.Now().Add(-ledger.FailureWindow)),
	)
}

// count tells the metrics how many jobs wait, and for how long.
func (f *function) count(ctx context.Context) error {
	if f.Metrics == nil {
		return nil
	}
	resting, err := f.Ledger.Resting(ctx)
	if err != nil {
		return err
	}
	for _, state := range []job.State{job.Received, job.Queued, job.Converting, job.Done, job.Failed} {
		var in ledger.Rest
		if i := slices.IndexFunc(resting, func(r ledger.Rest) bool { return r.State == state }); i >= 0 {
			in = resting[i]
		}
		oldest := time.Duration(0)
		if in.Jobs > 0 {
			oldest = f.Ledger.Now().Sub(in.Changed)
		}
		f.Metrics.Jobs(string(state), in.Jobs, oldest)
	}
	return nil
}

// wake publishes again what is due: the request to convert a job that has not
// ended, the outcome of one whose owner was not told.
func (f *function) wake(ctx context.Context) error {
	jobs, err := f.Ledger.Due(ctx, maxPerSweep)
	for _, j := range jobs {
		if err = f.wakeOne(ctx, j); err != nil {
			break // the broker or the ledger is down: the next sweep goes on
		}
	}
	return err
}

func (f *function) wakeOne(ctx context.Context, j job.Job) error {
	switch {
	case j.State.Ended() && f.Ledger.Now().Sub(j.EndedAt) > tellFor:
		slog.WarnContext(ctx, "owner not told of the outcome", "job", j.ID, "state", string(j.State))
		return f.Ledger.CloseJob(ctx, j.ID)
	case !j.State.Ended() && j.Attempts >= maxAttempts:
		return f.giveUp(ctx, j.ID, j.Run, interrupted)
	}
	e, ended := ledger.OutcomeEvent(j)
	if !ended {
		e = ledger.UploadedEvent(j)
	}
	if err := f.Events.Send(ctx, e); err != nil {
		return err
	}
	slog.InfoContext(ctx, "event sent again", "job", j.ID, "event", e.ID(), "state", string(j.State))
	return f.Ledger.Postpone(ctx, j.ID)
}

// expire deletes the jobs that retention no longer keeps, with their blobs.
func (f *function) expire(ctx context.Context) error {
	if f.Retention <= 0 {
		return nil
	}
	for {
		ids, err := f.Ledger.Expired(ctx, f.Ledger.Now().Add(-f.Retention), batch)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			j, err := f.Ledger.DeleteJob(ctx, id)
			if fail.Is(err, fail.NotFound) {
				continue // deleted by its owner meanwhile
			}
			if err != nil {
				return err
			}
			slog.InfoContext(ctx, "job expired", "job", id)
			if err := blob.DeleteAll(ctx, f.Blobs, j.Source, j.FIDs()); err != nil {
				return err
			}
		}
	}
}

// pruneLetters removes the dead letters that retention no longer keeps. Those
// of a job go with it.
func (f *function) pruneLetters(ctx context.Context) error {
	if f.Retention <= 0 {
		return nil
	}
	return f.Ledger.PruneLetters(ctx, f.Ledger.Now().Add(-f.Retention))
}

// removeOrphans deletes the blobs that no job refers to: what a crash left
// between the blob and the ledger. Young ones may yet get their job. As it
// reads the whole store, it does so only a few times within OrphanAge.
func (f *function) removeOrphans(ctx context.Context) error {
	if f.Ledger.Now().Sub(f.orphansAt) < f.OrphanAge/4 {
		return nil
	}
	began := f.Ledger.Now()
	var errs []error
	for _, bucket := range blob.Buckets() {
		var old []string
		for info, err := range f.Blobs.List(ctx, bucket) {
			if err != nil {
				errs = append(errs, err)
				break
			}
			if f.Ledger.Now().Sub(info.Created) >= f.OrphanAge {
				old = append(old, info.ID)
			}
			if len(old) == batch {
				errs = append(errs, f.removeUnreferenced(ctx, bucket, old))
				old = old[:0]
			}
		}
		errs = append(errs, f.removeUnreferenced(ctx, bucket, old))
	}
	err := errors.Join(errs...)
	if err == nil { // one that was cut short is made again
		f.orphansAt = began
	}
	return err
}

func (f *function) removeUnreferenced(ctx context.Context, bucket blob.Bucket, fids []string) error {
	orphans, err := f.Ledger.Unreferenced(ctx, fids)
	if err != nil {
		return err
	}
	for _, fid := range orphans {
		if err := f.Blobs.Delete(ctx, bucket, fid); err != nil {
			return err
		}
		slog.InfoContext(ctx, "orphan removed", "bucket", string(bucket), "fid", fid)
	}
	return nil
}
