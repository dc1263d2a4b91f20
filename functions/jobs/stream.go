package jobs

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// keepAlive is how often a quiet stream says that it is still there.
const keepAlive = 15 * time.Second

// stream sends a job as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html): one "job"
// event with the whole job now and after each change, until the job has ended;
// "deleted" if it is deleted meanwhile. The stream also ends when the server
// drains, or when the job is somebody else's and the caller no administrator
// any more: connect again then. HEAD is answered with the header alone, at once:
// for the client that ends the request, and the next one on its connection
// would wait for a stream that goes on.
func (d Deps) stream(w http.ResponseWriter, r *http.Request, who token.Claims) error {
	changed := d.Ledger.Changed()
	j, err := d.find(r, who)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies: pass on at once
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	control := http.NewResponseController(w)
	tick := time.NewTicker(d.Poll)
	defer tick.Stop()
	spoken := time.Time{}
	var last job.Job
	for {
		switch {
		case j.UpdatedAt != last.UpdatedAt || j.State != last.State || j.Progress != last.Progress:
			data, _ := web.Encode(j.View(d.Links.Result)) // plain data: cannot fail
			_, err = fmt.Fprintf(w, "event: job\ndata: %s\n", data)
			last, spoken = j, time.Now()
		case time.Since(spoken) >= keepAlive:
			_, err = fmt.Fprint(w, ": still there\n\n")
			spoken = time.Now()
		}
		if err == nil {
			err = control.Flush()
		}
		if err != nil || j.State.Ended() {
			return nil // the client is gone, or has all there is
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-web.Draining(r.Context()):
			return nil
		case <-changed:
		case <-tick.C:
		}
		changed = d.Ledger.Changed()
		switch next, err := d.again(r.Context(), j.ID, who); {
		case err == nil:
			j = next
		case fail.Is(err, fail.NotFound):
			_, _ = fmt.Fprint(w, "event: deleted\ndata: {}\n\n")
			return nil
		case fail.Is(err, fail.Forbidden):
			return nil
		}
		// Any other error passes: the next tick looks again.
	}
}

// again reads a job that the caller was allowed to see. fail.Forbidden where
// that was as an administrator, who is none any more.
func (d Deps) again(ctx context.Context, id string, who token.Claims) (job.Job, error) {
	j, err := d.Ledger.Job(ctx, id)
	if err != nil || j.Owner == who.Subject {
		return j, err
	}
	still, err := d.Ledger.IsAdmin(ctx, who.Subject)
	if err == nil && !still {
		err = forbidden()
	}
	return j, err
}
