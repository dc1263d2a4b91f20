// Package jobs is the function that shows people their jobs: lists, single
// jobs, their progress as server-sent events, deletion and retry.
//
// A job of somebody else is not there (404), except for administrators, who
// may do with a single job what its owner may.
package jobs

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Deps is what jobs works with.
type Deps struct {
	Ledger   *ledger.Ledger
	Blobs    blob.Store
	Events   *event.Sender
	Verifier *token.Verifier
	Links    *token.Links
	Poll     time.Duration // how often a stream looks for changes by other processes; 0 means 500 ms
}

const (
	defaultLimit = 20 // length of a page of GET /jobs
	maxLimit     = 100

	settleIn = 30 * time.Second // for a change of a job and what follows from it
)

// New makes the function.
func New(d Deps) http.Handler {
	if d.Poll <= 0 {
		d.Poll = 500 * time.Millisecond
	}
	var mux web.Mux
	mux.Handle("GET /jobs", web.Authenticated(d.Verifier, d.list))
	mux.Handle("GET /jobs/{id}", web.Authenticated(d.Verifier, d.show))
	mux.Handle("DELETE /jobs/{id}", web.Authenticated(d.Verifier, d.remove))
	mux.Handle("POST /jobs/{id}/retry", web.Authenticated(d.Verifier, d.retry))
	mux.Handle("GET /jobs/{id}/events", web.Authenticated(d.Verifier, d.stream))
	return &mux
}

// page is the answer of GET /jobs. Next is where the following page is, null
// at the last.
type page struct {
	Jobs []job.View `json:"jobs"`
	Next *string    `json:"next"`
}

func (d Deps) list(w http.ResponseWriter, r *http.Request, who token.Claims) error {
	q := r.URL.Query()
	limit := defaultLimit
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxLimit {
			return fail.New(fail.Invalid, "limit: want a number from 1 to %d.", maxLimit)
		}
		limit = n
	}
	before := q.Get("before")
	if before != "" && uuid.Validate(before) != nil {
		return fail.New(fail.Invalid, "before: want the id of a job.")
	}
	found, err := d.Ledger.Jobs(r.Context(), ledger.JobFilter{Owner: who.Subject}, before, limit+1)
	if err != nil {
		return err
	}
	p := page{Jobs: make([]job.View, 0, limit)}
	if len(found) > limit {
		found = found[:limit]
		next := "/jobs?" + url.Values{"before": {found[limit-1].ID}, "limit": {strconv.Itoa(limit)}}.Encode()
		p.Next = &next
	}
	for _, j := range found {
		p.Jobs = append(p.Jobs, j.View(d.Links.Result))
	}
	return web.JSON(w, http.StatusOK, p)
}

// find reads the job that the request names, if the caller may see it.
func (d Deps) find(r *http.Request, who token.Claims) (job.Job, error) {
	notFound := fail.New(fail.NotFound, "There is no such job.")
	id := r.PathValue("id")
	if uuid.Validate(id) != nil {
		return job.Job{}, notFound
	}
	j, err := d.Ledger.Job(r.Context(), id)
	if err == nil && j.Owner != who.Subject && !who.Admin {
		return job.Job{}, notFound
	}
	return j, err
}

func (d Deps) show(w http.ResponseWriter, r *http.Request, who token.Claims) error {
	j, err := d.find(r, who)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, j.View(d.Links.Result))
}

// settling is the context of a change: it goes on even if the client leaves.
func settling(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), settleIn)
}

func (d Deps) remove(w http.ResponseWriter, r *http.Request, who token.Claims) error {
	j, err := d.find(r, who)
	if err != nil {
		return err
	}
	ctx, cancel := settling(r)
	defer cancel()
	// The ledger first: what it does not refer to nobody can reach any more,
	// and the sweep removes what is left of it.
	if j, err = d.Ledger.DeleteJob(ctx, j.ID); err != nil {
		return err
	}
	if err := blob.DeleteAll(ctx, d.Blobs, j.Source, j.FIDs()); err != nil {
		slog.WarnContext(ctx, "blobs left for the sweep", "job", j.ID, "error", err)
	}
	slog.InfoContext(ctx, "job deleted", "job", j.ID)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d Deps) retry(w http.ResponseWriter, r *http.Request, who token.Claims) error {
	j, err := d.find(r, who)
	if err != nil {
		return err
	}
	ctx, cancel := settling(r)
	defer cancel()
	if j, err = d.Ledger.Retry(ctx, j.ID); err != nil {
		return err
	}
	j = d.Ledger.Publish(ctx, d.Events, j)
	slog.InfoContext(ctx, "job retried", "job", j.ID, "run", j.Run)
	w.Header().Set("Location", "/jobs/"+j.ID)
	return web.JSON(w, http.StatusAccepted, j.View(d.Links.Result))
}
