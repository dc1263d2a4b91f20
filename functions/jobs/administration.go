package jobs

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// authenticated runs h for who has a token. An administrator is who is one by the
// token, and still by the ledger.
func (d Deps) authenticated(h func(http.ResponseWriter, *http.Request, token.Claims) error) http.Handler {
	return web.Authenticated(d.Verifier, func(w http.ResponseWriter, r *http.Request, who token.Claims) (err error) {
		if who.Admin {
			if who.Admin, err = d.Ledger.IsAdmin(r.Context(), who.Subject); err != nil {
				return err
			}
		}
		return h(w, r, who)
	})
}

// administrators runs h for administrators alone.
func (d Deps) administrators(h web.Handler) http.Handler {
	return d.authenticated(func(w http.ResponseWriter, r *http.Request, who token.Claims) error {
		if !who.Admin {
			return forbidden()
		}
		return h(w, r)
	})
}

func forbidden() error { return fail.New(fail.Forbidden, "Only administrators may do this.") }

// letter is a dead letter as the API shows it.
type letter struct {
	ID         string          `json:"id"`
	Job        *string         `json:"job"` // null for an event of no job
	EventID    string          `json:"event_id"`
	Type       string          `json:"type"`
	Source     string          `json:"source"`
	Subscriber string          `json:"subscriber"` // who did not take it
	Status     *int            `json:"status"`     // of its last answer; null for none
	Answer     string          `json:"answer"`     // the beginning of it, or why there was none
	Times      int             `json:"times"`
	FirstAt    time.Time       `json:"first_at"`
	LastAt     time.Time       `json:"last_at"`
	Event      json.RawMessage `json:"event"` // null where it was too large to keep
}

// letters is the answer of GET /deadletters.
type letters struct {
	Letters []letter `json:"deadletters"`
	Next    *string  `json:"next"`
}

func letterOf(l ledger.Letter) (letter, error) {
	v := letter{
		ID: l.ID, EventID: l.EventID, Type: l.Type, Source: l.Source, Subscriber: l.Subscriber, Answer: l.Answer,
		Times: l.Times, FirstAt: l.FirstAt, LastAt: l.LastAt, Event: json.RawMessage("null"),
	}
	if l.Job != "" {
		v.Job = &l.Job
	}
	if l.Status > 0 {
		v.Status = &l.Status
	}
	if l.Event != nil {
		text, err := json.Marshal(l.Event)
		if err != nil {
			return v, fail.Wrap(fail.Internal, err, "show dead letter %s", l.ID)
		}
		v.Event = text
	}
	return v, nil
}

func (d Deps) listLetters(w http.ResponseWriter, r *http.Request) error {
	before, limit, err := place(r.URL.Query(), "dead letter")
	if err != nil {
		return err
	}
	found, err := d.Ledger.Letters(r.Context(), before, limit+1)
	if err != nil {
		return err
	}
	p := letters{Letters: make([]letter, 0, limit)}
	if len(found) > limit {
		found = found[:limit]
		next := "/deadletters?" + url.Values{"before": {found[limit-1].ID}, "limit": {strconv.Itoa(limit)}}.Encode()
		p.Next = &next
	}
	for _, l := range found {
		v, err := letterOf(l)
		if err != nil {
			return err
		}
		p.Letters = append(p.Letters, v)
	}
	return web.JSON(w, http.StatusOK, p)
}

// letter reads the dead letter that the request names.
func (d Deps) letter(r *http.Request) (ledger.Letter, error) {
	id := r.PathValue("id")
	if uuid.Validate(id) != nil {
		return ledger.Letter{}, fail.New(fail.NotFound, "There is no such dead letter.")
	}
	return d.Ledger.Letter(r.Context(), id)
}

func (d Deps) dropLetter(w http.ResponseWriter, r *http.Request) error {
	l, err := d.letter(r)
	if err != nil {
		return err
	}
	if err := d.Ledger.DropLetter(r.Context(), l.ID); err != nil {
		return err
	}
	slog.InfoContext(r.Context(), "dead letter dropped", "letter", l.ID, "job", l.Job)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// replayLetter does again what the letter's event asked for. The job of an
// upload has failed because of it, so that it needs a new run; any other event
// is sent as it was.
func (d Deps) replayLetter(w http.ResponseWriter, r *http.Request) error {
	l, err := d.letter(r)
	if err != nil {
		return err
	}
	ctx, cancel := settling(r)
	defer cancel()
	if l.Type == event.TypeVideoUploaded && l.Job != "" {
		var j job.Job
		if j, err = d.Ledger.Retry(ctx, l.Job); err == nil {
			d.Ledger.Publish(ctx, d.Events, j)
		}
	} else {
		err = d.sendAgain(ctx, l)
	}
	if err != nil {
		return err
	}
	slog.InfoContext(ctx, "dead letter replayed", "letter", l.ID, "job", l.Job, "type", l.Type)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d Deps) sendAgain(ctx context.Context, l ledger.Letter) error {
	if l.Event == nil {
		return fail.New(fail.Exists, "The event of this dead letter was too large to keep, and cannot be sent again.")
	}
	if err := d.Events.Send(ctx, *l.Event); err != nil {
		return err
	}
	return d.Ledger.CloseLetter(ctx, l)
}

// depth is how many of something there are, and how long nothing has happened
// to one of them.
type depth struct {
	Count            int  `json:"count"`
	OldestAgeSeconds *int `json:"oldest_age_seconds"` // null for none
}

func depthOf(d ledger.Depth, now time.Time) depth {
	v := depth{Count: d.Count}
	if !d.Oldest.IsZero() {
		age := max(int(now.Sub(d.Oldest)/time.Second), 0)
		v.OldestAgeSeconds = &age
	}
	return v
}

// store says whether a store can be used now.
type store struct {
	Usable bool   `json:"usable"`
	Detail string `json:"detail"` // why not
}

// status is the answer of GET /status. What only the ledger knows is null
// while that cannot be used.
type status struct {
	Stores  map[string]store    `json:"stores"`
	Jobs    map[job.State]depth `json:"jobs"`
	Notices *depth              `json:"notices"` // outcomes that no mail has told of yet
	Letters *depth              `json:"deadletters"`
}

// storesWithin bounds how long stores are waited for.
const storesWithin = 3 * time.Second

// status goes by the token alone while the ledger is away, which is what it has
// to tell then.
func (d Deps) status(w http.ResponseWriter, r *http.Request, who token.Claims) error {
	if !who.Admin {
		return forbidden()
	}
	ctx, cancel := context.WithTimeout(r.Context(), storesWithin)
	defer cancel()
	blobs := make(chan error, 1)
	go func() { blobs <- d.Blobs.Ready(ctx) }()
	var depths ledger.Depths
	err := d.Ledger.Ready(ctx)
	if err == nil {
		if who.Admin, err = d.Ledger.IsAdmin(ctx, who.Subject); err == nil && !who.Admin {
			return forbidden()
		}
	}
	if err == nil {
		depths, err = d.Ledger.Depths(ctx)
	}
	s := status{Stores: map[string]store{"ledger": storeOf(ctx, "ledger", err), "blobs": storeOf(ctx, "blobs", <-blobs)}}
	if err == nil {
		now := d.Ledger.Now()
		s.Jobs = map[job.State]depth{}
		for state, n := range depths.Jobs {
			s.Jobs[state] = depthOf(n, now)
		}
		notices, letters := depthOf(depths.Notices, now), depthOf(depths.Letters, now)
		s.Notices, s.Letters = &notices, &letters
	}
	return web.JSON(w, http.StatusOK, s)
}

func storeOf(ctx context.Context, name string, err error) store {
	if err == nil {
		return store{Usable: true}
	}
	slog.WarnContext(ctx, "store cannot be used", "store", name, "error", err)
	return store{Detail: fail.Detail(err)}
}
