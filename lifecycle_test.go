package alchemist_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// TestServersComeAndGo starts every program before the servers, and takes each
// of those away again, by a kill and by a hang.
func TestServersComeAndGo(t *testing.T) {
	w := startWorld(t)
	for s, needs := range w.all() {
		eventually(t, s.cmd.Path+" is live", seconds, func() bool {
			status, _, err := ask(s.url+"/healthz", "GET", "", nil)
			return err == nil && status == http.StatusOK
		})
		began := time.Now()
		status, body := s.get(t, "/readyz")
		if want := "Cannot be used now: " + needs + "."; needs != "" && (status != http.StatusServiceUnavailable || !strings.Contains(body, want)) {
			t.Errorf("%s with no server: /readyz answers %d %s, want %q", s.cmd.Path, status, body, want)
		}
		if needs == "" && status != http.StatusOK {
			t.Errorf("%s needs nothing: /readyz answers %d %s", s.cmd.Path, status, body)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("%s: /readyz took %v", s.cmd.Path, took)
		}
	}
	for name, s := range w.origins() {
		if status, body, err := ask(s.url+"/login", "POST", adminBasic(), nil); status != http.StatusServiceUnavailable || err != nil {
			t.Errorf("%s: a login with no server: %d %s %v", name, status, body, err)
		}
	}
	w.running(t)

	for _, s := range w.servers() {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	w.ready(t)
	content := video(t, 1)
	c := w.whole.admin(t)
	first := c.await(t, c.upload(t, "a.mp4", content).ID)
	if first.State != job.Done {
		t.Fatalf("ended %+v", first)
	}
	w.link = first.Results[0].URL

	for _, tt := range []struct {
		name   string
		server *servers.Server
		needs  string         // what /readyz says is missing
		want   map[string]int // status of each request meanwhile
	}{
		{"MySQL", w.mysql, "ledger", map[string]int{"login": 503, "jobs": 503, "upload": 503, "download": 503, "page": 200}},
		{"Mongo", w.mongo, "blobs", map[string]int{"login": 200, "jobs": 200, "upload": 503, "download": 503, "page": 200}},
		{"Rabbit", w.rabbit, "queue", map[string]int{"login": 200, "jobs": 200, "upload": 202, "download": 200, "page": 200}},
	} {
		for how, away := range map[string]struct{ begin, end func() error }{
			"killed": {func() error { tt.server.Kill(); return nil }, tt.server.Start},
			"hangs":  {func() error { tt.server.Pause(); return nil }, func() error { tt.server.Resume(); return nil }},
		} {
			t.Run(tt.name+" "+how, func(t *testing.T) {
				for name, s := range w.origins() {
					if name == "functions" && tt.name == "Rabbit" {
						continue // it is the sink's
					}
					w.outage(t, name, &client{server: s, http: http.DefaultClient, token: c.token}, content, tt.needs, tt.want, away.begin, away.end)
				}
			})
		}
	}
	if j := c.await(t, c.upload(t, "b.mp4", content).ID); j.State != job.Done {
		t.Errorf("in the end: %+v", j)
	}
}

// outage takes a server away in the middle of an upload, looks at what is
// answered meanwhile, and gives it back.
func (w *world) outage(t *testing.T, name string, c *client, content []byte, needs string, want map[string]int, begin, end func() error) {
	t.Helper()
	half, gone := make(chan struct{}), make(chan struct{})
	upload := c.uploadRequest(t, "cut.mp4", &slow{bytes.NewReader(content[:len(content)/2]), bytes.NewReader(content[len(content)/2:]), half, gone})
	type answer struct {
		what, body string
		status     int
		err        error
		took       time.Duration
	}
	answers := make(chan answer, len(want))
	send := func(what, method, path, auth string, body io.Reader, header ...string) {
		go func() {
			began := time.Now()
			status, text, err := ask(c.url+path, method, auth, body, header...)
			answers <- answer{what, text, status, err, time.Since(began)}
		}()
	}
	bearer := "Bearer " + c.token
	send("upload", "POST", "/upload", bearer, upload.Body, "Content-Type", upload.Header.Get("Content-Type"))
	<-half
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	close(gone)
	send("login", "POST", "/login", adminBasic(), nil)
	send("jobs", "GET", "/jobs", bearer, nil)
	send("download", "GET", w.link, "", nil)
	send("page", "GET", "/", "", nil)
	for range want {
		a := <-answers
		if a.err != nil || a.status != want[a.what] {
			t.Errorf("%s: %s answers %d, want %d: %s %v", name, a.what, a.status, want[a.what], a.body, a.err)
		}
		t.Logf("%s: %s answers %d after %v", name, a.what, a.status, a.took.Round(time.Millisecond))
	}
	if c.server == w.whole {
		eventually(t, "/readyz tells", seconds, func() bool {
			status, body := c.get(t, "/readyz")
			return status == http.StatusServiceUnavailable && strings.Contains(body, needs)
		})
	}
	if status, _ := c.get(t, "/healthz"); status != http.StatusOK {
		t.Errorf("%s: /healthz answers %d", name, status)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	w.ready(t)
	var all sync.WaitGroup
	for range 20 { // more than any pool has connections
		all.Go(func() {
			if status, body, err := ask(c.url+"/jobs", "GET", bearer, nil); status != http.StatusOK || err != nil {
				t.Errorf("%s: afterwards /jobs answers %d %s %v", name, status, body, err)
			}
		})
	}
	all.Wait()
}
