// Package upload is the function that takes a video: POST /upload, a
// multipart form with exactly one file, streamed straight to the blob store,
// and with options for its conversion before or after the file.
//
// The blob is stored, the job written to the ledger, its event published, and
// only then the answer given: 202 with the job. A broker that is down fails
// nothing, as reconcile publishes later what the ledger has.
package upload

import (
	"bufio"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Deps is what upload works with.
type Deps struct {
	Ledger   *ledger.Ledger
	Blobs    blob.Store
	Events   *event.Sender
	Verifier *token.Verifier
	Links    *token.Links
	MaxBytes int64 // largest video
}

const (
	settleIn  = 30 * time.Second // for what follows once the video is stored
	overhead  = 1 << 20          // what a form may have around the file
	readAhead = 64 << 10         // package multipart alone reads 4 KiB at a time
)

// New makes the function.
func New(d Deps) http.Handler {
	var mux web.Mux
	mux.Handle("POST /upload", web.Authenticated(d.Verifier, d.upload))
	return &mux
}

func (d Deps) upload(w http.ResponseWriter, r *http.Request, who token.Claims) error {
	if r.ContentLength > d.MaxBytes+overhead {
		return tooLarge(d.MaxBytes)
	}
	file, err := openForm(bufio.NewReaderSize(r.Body, readAhead), r.Header.Get("Content-Type"), d.MaxBytes)
	if err != nil {
		return err
	}
	ctx, traceparent := event.Trace(r.Context(), r.Header)
	info, err := d.store(ctx, file)
	if err != nil {
		return err
	}
	// The video is whole: from here the job goes on even if the client leaves.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
	defer cancel()
	j, err := d.Ledger.CreateJob(ctx, job.Job{
		ID: job.NewID(), Owner: who.Subject, Name: job.CleanName(file.name),
		Source: info.ID, Bytes: info.Bytes, Trace: traceparent, Options: file.options,
	})
	if err != nil {
		d.discard(ctx, info.ID, err)
		return err
	}
	j = d.Ledger.Publish(ctx, d.Events, j)
	slog.InfoContext(ctx, "video uploaded", "job", j.ID, "bytes", j.Bytes, "state", string(j.State))
	w.Header().Set("Location", "/jobs/"+j.ID)
	return web.JSON(w, http.StatusAccepted, j.View(d.Links.Result))
}

// store streams the video to the blob store.
func (d Deps) store(ctx context.Context, file *formFile) (info blob.Info, err error) {
	ctx, span := telemetry.Start(ctx, "store")
	defer func() {
		span.SetAttributes(telemetry.AttrBytes.Int64(info.Bytes))
		telemetry.End(span, err)
	}()
	return d.Blobs.Put(ctx, blob.Videos, blob.NewID(), file)
}

// discard deletes a video that did not get its job. Where the ledger could not
// tell whether it has the job, the video stays: reconcile finds out.
func (d Deps) discard(ctx context.Context, fid string, because error) {
	err := because
	if !fail.Is(because, fail.Unavailable) {
		err = d.Blobs.Delete(ctx, blob.Videos, fid)
	}
	if err != nil {
		slog.WarnContext(ctx, "video left for the sweep", "fid", fid, "error", err)
	}
}

func tooLarge(limit int64) error {
	return fail.New(fail.TooLarge, "The file is larger than the %d bytes that are taken.", limit)
}
