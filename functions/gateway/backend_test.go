package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

const (
	testEmail    = "ada@example.com"
	testPassword = "pässwörd 秘密"
)

// backend answers as the functions behind the gateway do, from memory; the
// test moves its jobs along.
type backend struct {
	mu       sync.Mutex
	jobs     []job.View    // newest first
	changed  chan struct{} // closed at every change
	token    string        // the one that is accepted
	gate     chan struct{} // uploads wait until it is closed
	uploads  chan error    // how the body of each upload ended
	streams  int           // event streams opened so far
	noStream bool          // event streams break at once
}

func newBackend() *backend {
	b := &backend{changed: make(chan struct{}), token: "t1", gate: make(chan struct{}), uploads: make(chan error, 8)}
	close(b.gate)
	return b
}

func (b *backend) routes() map[string]http.Handler {
	jobs := http.NewServeMux()
	jobs.Handle("GET /jobs", b.authorized(b.list))
	jobs.Handle("GET /jobs/{id}", b.authorized(b.show))
	jobs.Handle("GET /jobs/{id}/events", b.authorized(b.events))
	jobs.Handle("DELETE /jobs/{id}", b.authorized(b.remove))
	jobs.Handle("POST /jobs/{id}/retry", b.authorized(b.retry))
	return map[string]http.Handler{
		"login": web.Handler(b.login), "upload": b.authorized(b.upload),
		"download": web.Handler(b.download), "jobs": jobs,
	}
}

func (b *backend) authorized(h web.Handler) http.Handler {
	return web.Handler(func(w http.ResponseWriter, r *http.Request) error {
		b.mu.Lock()
		want := "Bearer " + b.token
		b.mu.Unlock()
		if r.Header.Get("Authorization") != want {
			return fail.New(fail.Unauthorized, "Log in first.")
		}
		return h(w, r)
	})
}

func (b *backend) login(w http.ResponseWriter, r *http.Request) error {
	email, password, _ := r.BasicAuth()
	switch {
	case email == "often@example.com":
		return fail.Later(fail.RateLimited, 11*time.Minute+5*time.Second, "Too many failed logins.")
	case email != testEmail || password != testPassword:
		w.Header().Set("WWW-Authenticate", `Basic realm="audio-alchemist", charset="UTF-8"`)
		return fail.New(fail.Unauthorized, "The email address or the password is wrong.")
	}
	return web.JSON(w, http.StatusOK, map[string]any{"access_token": "t1", "token_type": "Bearer", "expires_in": 3600})
}

func (b *backend) upload(w http.ResponseWriter, r *http.Request) error {
	file, header, err := r.FormFile("file")
	if err == nil {
		_, err = io.Copy(io.Discard, file)
	}
	select {
	case <-b.gate:
	case <-r.Context().Done():
		err = r.Context().Err()
	}
	b.uploads <- err
	if err != nil {
		return fail.Wrap(fail.Invalid, err, "read form")
	}
	if header.Filename == "huge.mp4" {
		return fail.New(fail.TooLarge, "The file is larger than 2 GiB.")
	}
	sent := map[string]string{}
	for name, values := range r.MultipartForm.Value {
		sent[name] = strings.Join(values, " and ") // two of a field would be refused
	}
	asked, err := options.Parse(sent)
	if err != nil {
		return err
	}
	b.add(header.Filename, job.Queued)
	b.change(func(j *job.View) { j.Options = asked })
	return web.JSON(w, http.StatusAccepted, b.newest())
}

// add makes a job, newest of all.
func (b *backend) add(name string, state job.State) job.View {
	now := time.Now().UTC().Truncate(time.Millisecond)
	j := job.View{ID: job.NewID(), Name: name, State: state, CreatedAt: now, UpdatedAt: now, Results: []job.ResultView{}}
	if state == job.Done {
		finish(&j)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs = slices.Insert(b.jobs, 0, j)
	return j
}

// newest returns a copy of the newest job.
func (b *backend) newest() job.View {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.jobs[0]
}

// finish gives a job the results that were asked for.
func finish(j *job.View) {
	j.State, j.Progress, j.Results = job.Done, 100, nil
	for _, f := range j.Options.Outputs() {
		fid := "f-" + string(f) + "-" + j.ID
		j.Results = append(j.Results, job.ResultView{FID: fid, Name: job.ResultName(j.Name, string(f)), Format: string(f),
			Bytes: 4_812_345, DurationSeconds: 200.5, URL: "/download?fid=" + fid + "&expires=9&signature=s"})
	}
}

// change moves the newest job along.
func (b *backend) change(f func(*job.View)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.jobs[0])
	close(b.changed)
	b.changed = make(chan struct{})
}

// find returns a copy of a job and what will be closed when anything changes.
func (b *backend) find(id string) (job.View, <-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, j := range b.jobs {
		if j.ID == id {
			return j, b.changed, nil
		}
	}
	return job.View{}, nil, fail.New(fail.NotFound, "There is no such job.")
}

func (b *backend) list(w http.ResponseWriter, r *http.Request) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	const limit = 20
	from := 0
	if before := r.URL.Query().Get("before"); before != "" {
		from = 1 + slices.IndexFunc(b.jobs, func(j job.View) bool { return j.ID == before })
	}
	to, next := min(from+limit, len(b.jobs)), (*string)(nil)
	if to < len(b.jobs) {
		path := "/jobs?before=" + b.jobs[to-1].ID + "&limit=" + strconv.Itoa(limit)
		next = &path
	}
	return web.JSON(w, http.StatusOK, map[string]any{"jobs": append([]job.View{}, b.jobs[from:to]...), "next": next})
}

func (b *backend) show(w http.ResponseWriter, r *http.Request) error {
	j, _, err := b.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, j)
}

func (b *backend) events(w http.ResponseWriter, r *http.Request) error {
	b.mu.Lock()
	b.streams++
	broken := b.noStream
	b.mu.Unlock()
	if broken {
		return fail.New(fail.Unavailable, "no streams today")
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		j, changed, err := b.find(r.PathValue("id"))
		if err != nil {
			_, _ = fmt.Fprint(w, "event: deleted\ndata: {}\n\n")
			return nil
		}
		data, _ := json.Marshal(j)
		_, _ = fmt.Fprintf(w, "event: job\ndata: %s\n\n", data)
		if err := http.NewResponseController(w).Flush(); err != nil || j.State.Ended() {
			return nil
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return nil
		}
	}
}

func (b *backend) remove(w http.ResponseWriter, r *http.Request) error {
	if _, _, err := b.find(r.PathValue("id")); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs = slices.DeleteFunc(b.jobs, func(j job.View) bool { return j.ID == r.PathValue("id") })
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b *backend) retry(w http.ResponseWriter, r *http.Request) error {
	b.change(func(j *job.View) { j.State, j.Progress, j.Error = job.Queued, 0, nil })
	w.WriteHeader(http.StatusAccepted)
	j, _, err := b.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(j)
}

// download answers a second of silence, which every browser plays.
func (b *backend) download(w http.ResponseWriter, r *http.Request) error {
	if !strings.HasPrefix(r.URL.Query().Get("fid"), "f-") {
		return errors.New("unexpected fid")
	}
	const rate = 8000
	var wav bytes.Buffer
	wav.WriteString("RIFF")
	_ = binary.Write(&wav, binary.LittleEndian, uint32(36+rate))
	wav.WriteString("WAVEfmt ")
	_ = binary.Write(&wav, binary.LittleEndian, []uint16{16, 0, 1, 1, rate, 0, rate, 0, 1, 8})
	wav.WriteString("data")
	_ = binary.Write(&wav, binary.LittleEndian, uint32(rate))
	wav.Write(bytes.Repeat([]byte{128}, rate))
	w.Header().Set("Content-Type", "audio/wav")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(wav.Bytes()))
	return nil
}
