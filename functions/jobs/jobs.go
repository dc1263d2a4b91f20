// Package jobs is the function that shows people their jobs: lists, single
// jobs, their progress as server-sent events, deletion and retry.
//
// A job of somebody else is not there (404), except for administrators, who
// may do with a single job what its owner may, and list those of others. They
// alone see dead letters and GET /status.
package jobs

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
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
	mux.Handle("GET /jobs", d.authenticated(d.list))
	mux.Handle("GET /jobs/{id}", d.authenticated(d.show))
	mux.Handle("DELETE /jobs/{id}", d.authenticated(d.remove))
	mux.Handle("POST /jobs/{id}/retry", d.authenticated(d.retry))
	mux.Handle("GET /jobs/{id}/events", d.authenticated(d.stream))
	mux.Handle("GET /deadletters", d.administrators(d.listLetters))
	mux.Handle("DELETE /deadletters/{id}", d.administrators(d.dropLetter))
	mux.Handle("POST /deadletters/{id}/replay", d.administrators(d.replayLetter))
	mux.Handle("GET /status", web.Authenticated(d.Verifier, d.status))
	return &mux
}

// page is the answer of GET /jobs. Next is where the following page is, null
// at the last.
type page struct {
	Jobs []job.View `json:"jobs"`
	Next *string    `json:"next"`
}

// place reads which page is asked for; what is listed are things of that name.
func place(q url.Values, name string) (before string, limit int, err error) {
	limit = defaultLimit
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxLimit {
			return "", 0, fail.New(fail.Invalid, "limit: want a number from 1 to %d.", maxLimit)
		}
		limit = n
	}
	before = q.Get("before")
	if before != "" && uuid.Validate(before) != nil {
		return "", 0, fail.New(fail.Invalid, "before: want the id of a %s.", name)
	}
	return before, limit, nil
}

func (d Deps) list(w http.ResponseWriter, r *http.Request, who token.Claims) error {
	q := r.URL.Query()
	before, limit, err := place(q, "job")
	if err != nil {
		return err
	}
	filter, err := d.filter(r.Context(), q, who)
	if err != nil {
		return err
	}
	found, err := d.Ledger.Jobs(r.Context(), filter, before, limit+1)
	if err != nil {
		return err
	}
	p := page{Jobs: make([]job.View, 0, limit)}
	if len(found) > limit {
		found = found[:limit]
		following := url.Values{"before": {found[limit-1].ID}, "limit": {strconv.Itoa(limit)}}
		for _, name := range []string{"all", "user", "state"} {
			if v := q.Get(name); v != "" {
				following.Set(name, v)
			}
		}
		next := "/jobs?" + following.Encode()
		p.Next = &next
	}
	if p.Jobs, err = d.views(r.Context(), who, found); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, p)
}

// filter reads which jobs are listed: the caller's own, and for administrators
// those of any one user or of all.
func (d Deps) filter(ctx context.Context, q url.Values, who token.Claims) (ledger.JobFilter, error) {
	f := ledger.JobFilter{Owner: who.Subject, State: job.State(q.Get("state"))}
	if f.State != "" && !slices.Contains(job.States(), f.State) {
		return f, fail.New(fail.Invalid, "state: want received, queued, converting, done or failed.")
	}
	all, name := q.Get("all"), q.Get("user")
	switch {
	case all != "" && all != "true" && all != "false":
		return f, fail.New(fail.Invalid, "all: want true or false.")
	case all == "true" && name != "":
		return f, fail.New(fail.Invalid, "all and user exclude each other; give one of them.")
	case all != "true" && name == "":
		return f, nil
	case !who.Admin:
		return f, forbidden()
	case all == "true":
		f.Owner = ""
		return f, nil
	case uuid.Validate(name) == nil:
		f.Owner = name // of an account that is gone there may be jobs yet
		return f, nil
	}
	u, err := d.Ledger.UserByEmail(ctx, user.NormalizeEmail(name))
	f.Owner = u.ID
	return f, err
}

// views are jobs as the caller sees them: administrators also see whose they
// are.
func (d Deps) views(ctx context.Context, who token.Claims, jobs []job.Job) ([]job.View, error) {
	views := make([]job.View, 0, len(jobs))
	emails := map[string]string{}
	if who.Admin {
		for _, j := range jobs {
			emails[j.Owner] = ""
		}
		users, err := d.Ledger.UsersByID(ctx, slices.Collect(maps.Keys(emails)))
		if err != nil {
			return nil, err
		}
		for _, u := range users {
			emails[u.ID] = u.Email
		}
	}
	for _, j := range jobs {
		v := j.View(d.Links.Result)
		if who.Admin {
			v.Owner = &job.Owner{ID: j.Owner, Email: emails[j.Owner]}
		}
		views = append(views, v)
	}
	return views, nil
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
	views, err := d.views(r.Context(), who, []job.Job{j})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, views[0])
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
