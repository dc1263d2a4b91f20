package convert

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/media"
)

// format is what this function makes.
const format = "mp3"

// attempt converts the video of a claimed job and stores the result, all
// under the heartbeat. fail.Invalid is a verdict on the video, for its owner;
// fail.Exists a lost claim; anything else a fault that may pass. After an
// error no blob is left.
func (d Deps) attempt(ctx context.Context, j job.Job, holder string) (job.Result, error) {
	// What remains of the time is for storing and answering, before the broker
	// or Knative cut the request off.
	deadline := time.Now().Add(d.Timeout - min(15*time.Second, d.Timeout/10))
	beat, ctx := d.heartbeat(ctx, j.ID, holder)
	defer beat.stop()

	if err := d.folder(); err != nil {
		return job.Result{}, err
	}
	bounded, cancel := context.WithDeadlineCause(ctx, deadline, media.ErrTooLong)
	defer cancel()
	video, release, err := d.open(bounded, j.Source)
	if err != nil {
		return job.Result{}, beat.verdict(err)
	}
	defer release()
	info, err := d.Media.Probe(bounded, video)
	if err != nil {
		return job.Result{}, beat.verdict(err)
	}
	conversion := d.Media.Convert(bounded, video, info, media.Options{Bitrate: d.Bitrate}, beat.progress)
	defer func() { _, _ = conversion.Wait() }() // after a panic too it reads the video no longer
	stored, storing := d.Blobs.Put(ctx, blob.Audio, blob.NewID(), conversion)
	made, err := conversion.Wait()
	if storing == nil && err != nil { // never seen: what is stored is whole
		_ = d.Blobs.Delete(context.WithoutCancel(ctx), blob.Audio, stored.ID)
	}
	if err != nil && !errors.Is(err, media.ErrUnread) {
		return job.Result{}, beat.verdict(err)
	}
	if storing != nil {
		return job.Result{}, beat.verdict(fail.Wrap(fail.Unavailable, storing, "store the audio"))
	}
	if stored.Bytes != made.Bytes {
		_ = d.Blobs.Delete(context.WithoutCancel(ctx), blob.Audio, stored.ID)
		return job.Result{}, fail.New(fail.Unavailable, "The audio was not stored whole.")
	}
	return job.Result{
		FID: stored.ID, Name: job.ResultName(j.Name, format), Format: format,
		Bytes: stored.Bytes, Duration: made.Duration,
	}, nil
}

// open returns the video: as a file where the store has one here, otherwise
// streamed from it.
func (d Deps) open(ctx context.Context, source string) (*media.Input, func(), error) {
	r, err := d.Blobs.Open(ctx, blob.Videos, source)
	if fail.Is(err, fail.NotFound) {
		return nil, nil, fail.New(fail.Invalid, "The uploaded video is no longer there.")
	}
	if err != nil {
		return nil, nil, fail.Wrap(fail.Unavailable, err, "open the video")
	}
	if local, ok := r.(blob.Local); ok {
		return media.Local(local.File()), func() { _ = r.Close() }, nil
	}
	in, err := d.Media.Open(ctx, r, r.Info().Bytes, false)
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
