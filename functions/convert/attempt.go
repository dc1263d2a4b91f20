package convert

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/media"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
)

// attempt converts the video of a claimed job to each format that was asked
// for and stores the results, all under the heartbeat. fail.Invalid is a
// verdict on the video, for its owner; fail.Exists a lost claim; anything else
// a fault that may pass. After an error no blob is left.
func (d Deps) attempt(ctx context.Context, j job.Job, holder string) ([]job.Result, error) {
	// What remains of the time is for storing and answering, before the broker
	// or Knative cut the request off.
	deadline := time.Now().Add(d.Timeout - min(15*time.Second, d.Timeout/10))
	beat, ctx := d.heartbeat(ctx, j.ID, holder)
	defer beat.stop()

	if err := d.folder(); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithDeadlineCause(ctx, deadline, media.ErrTooLong)
	defer cancel()
	_, frame := j.Options.Cover.At()
	video, release, err := d.open(bounded, blob.Videos, j.Source, frame)
	if fail.Is(err, fail.NotFound) {
		err = fail.New(fail.Invalid, "The uploaded video is no longer there.")
	}
	if err != nil {
		return nil, beat.verdict(err)
	}
	defer release()
	plan, err := d.probe(bounded, video, j.Options)
	if err != nil {
		return nil, beat.verdict(err)
	}
	formats := j.Options.Outputs()
	results := make([]job.Result, 0, len(formats))
	for i, f := range formats {
		result, err := d.make(ctx, bounded, video, plan, f, func(percent int) { beat.progress((100*i + percent) / len(formats)) })
		if err != nil {
			d.discard(context.WithoutCancel(ctx), slog.With("job", j.ID), results)
			return nil, beat.verdict(err)
		}
		result.Name = job.ResultName(j.Name, f.Extension())
		results = append(results, result)
	}
	return results, nil
}

// probe looks at the video and plans what is to be made of it.
func (d Deps) probe(ctx context.Context, video *media.Input, asked options.Options) (_ media.Plan, err error) {
	ctx, span := telemetry.Start(ctx, "probe")
	defer func() { telemetry.End(span, err) }()
	info, err := d.Media.Probe(ctx, video)
	if err != nil {
		return media.Plan{}, err
	}
	return d.Media.Prepare(ctx, video, info, asked)
}

// make makes one result, stores it, and looks at it where it is stored. The
// making ends with bounded, the storing with ctx.
func (d Deps) make(ctx, bounded context.Context, video *media.Input, plan media.Plan, f options.Format, progress func(int)) (job.Result, error) {
	converting, span := telemetry.Start(bounded, "convert", telemetry.AttrFormat.String(string(f)))
	conversion := d.Media.Convert(converting, video, plan, f, progress)
	defer func() { _, _ = conversion.Wait() }() // after a panic too it reads the video no longer
	stored, storing := d.store(trace.ContextWithSpan(ctx, span), conversion)
	made, err := conversion.Wait()
	span.SetAttributes(telemetry.AttrSeconds.Float64(made.Duration.Seconds()))
	telemetry.End(span, err)
	switch {
	case storing == nil && err == nil:
		made, err = d.verify(bounded, stored, plan, made)
	case storing != nil && (err == nil || errors.Is(err, media.ErrUnread)):
		err = fail.Wrap(fail.Unavailable, storing, "store the audio")
	}
	if err != nil {
		if storing == nil { // never without a fault: what is stored is whole
			_ = d.Blobs.Delete(context.WithoutCancel(ctx), blob.Audio, stored.ID)
		}
		return job.Result{}, err
	}
	return job.Result{FID: stored.ID, Format: string(f), Bytes: stored.Bytes, Duration: made.Duration}, nil
}

// store streams what is made into the blob store.
func (d Deps) store(ctx context.Context, conversion io.Reader) (stored blob.Info, err error) {
	ctx, span := telemetry.Start(ctx, "store")
	defer func() {
		span.SetAttributes(telemetry.AttrBytes.Int64(stored.Bytes))
		telemetry.End(span, err)
	}()
	return d.Blobs.Put(ctx, blob.Audio, blob.NewID(), conversion)
}

// verify looks at what was stored.
func (d Deps) verify(ctx context.Context, stored blob.Info, plan media.Plan, made media.Result) (_ media.Result, err error) {
	ctx, span := telemetry.Start(ctx, "verify", telemetry.AttrFormat.String(string(made.Format)))
	defer func() { telemetry.End(span, err) }()
	if stored.Bytes != made.Bytes {
		return made, fail.New(fail.Unavailable, "The audio was not stored whole.")
	}
	audio, release, err := d.open(ctx, blob.Audio, stored.ID, false)
	if err != nil {
		return made, fail.Wrap(fail.Unavailable, err, "look at the audio")
	}
	defer release()
	made, odd, err := d.Media.Verify(ctx, audio, plan, made)
	if len(odd) > 0 {
		slog.WarnContext(ctx, "a result is not quite as planned", "fid", stored.ID, "format", string(made.Format), "differences", odd)
	}
	return made, err
}

// open returns a blob: as a file where the store has one here, otherwise
// streamed from it.
func (d Deps) open(ctx context.Context, bucket blob.Bucket, id string, pictures bool) (*media.Input, func(), error) {
	r, err := d.Blobs.Open(ctx, bucket, id)
	if fail.Is(err, fail.NotFound) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, fail.Wrap(fail.Unavailable, err, "open the blob")
	}
	if local, ok := r.(blob.Local); ok {
		return media.Local(local.File()), func() { _ = r.Close() }, nil
	}
	in, err := d.Media.Open(ctx, r, r.Info().Bytes, pictures)
	if err != nil {
		_ = r.Close()
		return nil, nil, err
	}
	return in, func() { _ = in.Close(); _ = r.Close() }, nil
}

// folder makes the one for temporary files.
func (d Deps) folder() error {
	if d.WorkDir == "" {
		return nil
	}
	if err := os.MkdirAll(d.WorkDir, 0o700); err != nil {
		return fail.Wrap(fail.Unavailable, err, "make the work folder")
	}
	return nil
}
