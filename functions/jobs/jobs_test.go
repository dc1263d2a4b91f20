package jobs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
)

func function(s *fixture.Stores) http.Handler {
	return New(Deps{
		Ledger: s.Ledger, Blobs: s.Blobs, Events: s.Events, Verifier: s.Verifier, Links: s.Links, Poll: 5 * time.Millisecond,
	})
}

func TestAListIsTheOwnersNewestFirstInPages(t *testing.T) {
	s := fixture.New(t)
	var want []string
	for range 5 {
		want = append([]string{s.Job(t, "anna").ID}, want...)
		s.Job(t, "ben")
	}
	var got []string
	for next, pages := "/jobs?limit=2", 0; next != ""; pages++ {
		resp, body := fixture.Call(t, function(s), "GET", next, s.Bearer(t, "anna", false))
		if resp.StatusCode != 200 || pages > 3 {
			t.Fatalf("page %d: %d %s", pages, resp.StatusCode, body)
		}
		p := fixture.Decode[page](t, body)
		for _, j := range p.Jobs {
			got = append(got, j.ID)
		}
		next = ""
		if p.Next != nil {
			next = *p.Next
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestAnEmptyListIsAList(t *testing.T) {
	s := fixture.New(t)
	if _, body := fixture.Call(t, function(s), "GET", "/jobs", s.Bearer(t, "anna", false)); strings.TrimSpace(string(body)) != `{"jobs":[],"next":null}` {
		t.Errorf("got %s", body)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	s := fixture.New(t)
	anna, ben, admin := s.Bearer(t, "anna", false), s.Bearer(t, "ben", false), s.Bearer(t, "root", true)
	failed, done := s.Failed(t, "anna", "x"), s.Done(t, "anna", "mp3")
	tests := map[string]struct {
		method, path, auth string
		status             int
	}{
		"list without a token":      {"GET", "/jobs", "", 401},
		"show without a token":      {"GET", "/jobs/" + done.ID, "", 401},
		"show with a garbled token": {"GET", "/jobs/" + done.ID, "Bearer x.y.z", 401},
		"show, with Basic":          {"GET", "/jobs/" + done.ID, "Basic YTpi", 401},
		"owner shows":               {"GET", "/jobs/" + done.ID, anna, 200},
		"admin shows":               {"GET", "/jobs/" + done.ID, admin, 200},
		"another shows":             {"GET", "/jobs/" + done.ID, ben, 404},
		"another deletes":           {"DELETE", "/jobs/" + done.ID, ben, 404},
		"another retries":           {"POST", "/jobs/" + failed.ID + "/retry", ben, 404},
		"another listens":           {"GET", "/jobs/" + done.ID + "/events", ben, 404},
		"retry of a done job":       {"POST", "/jobs/" + done.ID + "/retry", anna, 409},
		"no such job":               {"GET", "/jobs/" + job.NewID(), anna, 404},
		"no id at all":              {"GET", "/jobs/x'%20OR%201=1", anna, 404},
		"limit of 0":                {"GET", "/jobs?limit=0", anna, 400},
		"limit of 101":              {"GET", "/jobs?limit=101", anna, 400},
		"limit of words":            {"GET", "/jobs?limit=many", anna, 400},
		"before nothing":            {"GET", "/jobs?before=x", anna, 400},
		"wrong method":              {"PUT", "/jobs/" + done.ID, anna, 405},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			resp, body := fixture.Call(t, function(s), tt.method, tt.path, tt.auth)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.status, body)
			}
		})
	}
	if s.Count(t, blob.Audio) != 1 || len(s.Broker.Events()) != 0 {
		t.Error("a refused request did something")
	}
}

func TestADoneJobLinksItsResult(t *testing.T) {
	s := fixture.New(t)
	j := s.Done(t, "anna", "mp3")
	_, body := fixture.Call(t, function(s), "GET", "/jobs/"+j.ID, s.Bearer(t, "anna", false))
	v := fixture.Decode[job.View](t, body)
	if v.State != job.Done || v.Progress != 100 || len(v.Results) != 1 || v.Results[0].DurationSeconds != 60 ||
		!strings.HasPrefix(v.Results[0].URL, "/download?fid="+j.Results[0].FID+"&expires=") {
		t.Errorf("job %s", body)
	}
}

func TestDeleteRemovesJobAndBlobs(t *testing.T) {
	s := fixture.New(t)
	j := s.Done(t, "anna", "mp3")
	if resp, body := fixture.Call(t, function(s), "DELETE", "/jobs/"+j.ID, s.Bearer(t, "anna", false)); resp.StatusCode != 204 || len(body) != 0 {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	if resp, _ := fixture.Call(t, function(s), "GET", "/jobs/"+j.ID, s.Bearer(t, "anna", false)); resp.StatusCode != 404 {
		t.Errorf("afterwards: %d, want 404", resp.StatusCode)
	}
	if v, a := s.Count(t, blob.Videos), s.Count(t, blob.Audio); v != 0 || a != 0 {
		t.Errorf("left: %d videos, %d results", v, a)
	}
}

func TestRetryPublishesANewRun(t *testing.T) {
	s := fixture.New(t)
	j := s.Failed(t, "anna", "The file has no sound.")
	resp, body := fixture.Call(t, function(s), "POST", "/jobs/"+j.ID+"/retry", s.Bearer(t, "anna", false))
	v := fixture.Decode[job.View](t, body)
	if resp.StatusCode != 202 || v.State != job.Queued || v.Error != nil || resp.Header.Get("Location") != "/jobs/"+j.ID {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	events := s.Broker.Events()
	if len(events) != 1 || events[0].Type() != event.TypeVideoUploaded {
		t.Fatalf("events %v", events)
	}
	if d, err := event.Decode(events[0]); err != nil || d.Job != j.ID || d.Run != 1 {
		t.Errorf("data %+v, %v", d, err)
	}
}

// TestAChangeGoesOnWithoutItsClient leaves in the middle: when the blob store
// and the broker are asked, the client is gone.
func TestAChangeGoesOnWithoutItsClient(t *testing.T) {
	s := fixture.New(t)
	failed, done := s.Failed(t, "anna", "no sound"), s.Done(t, "anna", "mp3")
	ctx, leave := context.WithCancel(t.Context())
	h := New(Deps{
		Ledger: s.Ledger, Blobs: leaving{s.Blobs, leave}, Events: s.Events, Verifier: s.Verifier, Links: s.Links,
	})
	call := func(method, path string) int {
		r := httptest.NewRequestWithContext(ctx, method, path, nil)
		r.Header.Set("Authorization", s.Bearer(t, "anna", false))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if code := call("DELETE", "/jobs/"+done.ID); code != 204 || s.Count(t, blob.Audio) != 0 {
		t.Errorf("delete answers %d, %d results are left", code, s.Count(t, blob.Audio))
	}
	if ctx.Err() == nil {
		t.Fatal("the client is still there")
	}
	ctx, leave = context.WithCancel(t.Context())
	s.Broker.Before(leave)
	if code := call("POST", "/jobs/"+failed.ID+"/retry"); code != 202 || len(s.Broker.Events()) != 1 {
		t.Errorf("retry answers %d, events %v", code, s.Broker.Events())
	}
	if got, err := s.Ledger.Job(t.Context(), failed.ID); err != nil || got.State != job.Queued {
		t.Errorf("the job is %s, %v", got.State, err)
	}
}

// leaving is a store whose client leaves when something is deleted.
type leaving struct {
	blob.Store
	leave func()
}

func (l leaving) Delete(ctx context.Context, bucket blob.Bucket, id string) error {
	l.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.Store.Delete(ctx, bucket, id)
}

// listen opens a stream as anna and returns its lines.
func listen(t *testing.T, s *fixture.Stores, id string) *bufio.Scanner {
	t.Helper()
	return listenAs(t, s, id, s.Bearer(t, "anna", false))
}

func listenAs(t *testing.T, s *fixture.Stores, id, auth string) *bufio.Scanner {
	t.Helper()
	srv := httptest.NewServer(function(s))
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/jobs/"+id+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", auth)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "text/event-stream" {
		t.Fatalf("status %d, %s", resp.StatusCode, ct)
	}
	return bufio.NewScanner(resp.Body)
}

// next reads one event: its name, and the job in it as "state progress".
func next(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	var name, data string
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			name = line[7:]
		case strings.HasPrefix(line, "data: "):
			data = line[6:]
		case line == "" && name == "job":
			v := fixture.Decode[job.View](t, []byte(data))
			return fmt.Sprint(v.State, " ", v.Progress)
		case line == "":
			return name
		}
	}
	return "end"
}

func TestAStreamTellsProgressUntilTheEnd(t *testing.T) {
	s := fixture.New(t)
	j := s.Job(t, "anna")
	lines := listen(t, s, j.ID)
	want := func(what string) {
		t.Helper()
		if got := next(t, lines); got != what {
			t.Fatalf("event %q, want %q", got, what)
		}
	}
	want("received 0")
	if _, err := s.Ledger.Claim(t.Context(), j.ID, "h", time.Minute); err != nil {
		t.Fatal(err)
	}
	want("converting 0")
	if err := s.Ledger.Renew(t.Context(), j.ID, "h", time.Minute, 40); err != nil {
		t.Fatal(err)
	}
	want("converting 40")
	if _, err := s.Ledger.Fail(t.Context(), j.ID, "h", "no sound"); err != nil {
		t.Fatal(err)
	}
	want("failed 0")
	want("end")
}

func TestAStreamTellsOfDeletion(t *testing.T) {
	s := fixture.New(t)
	j := s.Job(t, "anna")
	lines := listen(t, s, j.ID)
	if got := next(t, lines); got != "received 0" {
		t.Fatalf("first event %q", got)
	}
	if _, err := s.Ledger.DeleteJob(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	if got := next(t, lines); got != "deleted" {
		t.Fatalf("event %q, want deleted", got)
	}
	if got := next(t, lines); got != "end" {
		t.Fatalf("event %q after the deletion", got)
	}
}

func TestAStreamThatNobodyReadsIsCutOff(t *testing.T) {
	s := fixture.New(t)
	j := s.Claimed(t, "anna")
	stop := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			if err := s.Ledger.Renew(context.Background(), j.ID, fixture.Holder, time.Minute, i%100); err != nil {
				t.Error(err)
				return
			}
		}
	})
	fixture.WhoTakesNothing(t, function(s), "/jobs/"+j.ID+"/events", s.Bearer(t, "anna", false))
	close(stop)
	changing.Wait()
}

func TestAStreamOfAnEndedJobEndsAtOnce(t *testing.T) {
	s := fixture.New(t)
	lines := listen(t, s, s.Done(t, "anna", "mp3").ID)
	if first, second := next(t, lines), next(t, lines); first != "done 100" || second != "end" {
		t.Errorf("events %q, %q", first, second)
	}
}

func TestHeadOfAStreamKeepsNobodyWaiting(t *testing.T) {
	s := fixture.New(t)
	j := s.Job(t, "anna")
	srv := httptest.NewServer(function(s))
	defer srv.Close()
	defer func() { _, _ = s.Ledger.DeleteJob(context.WithoutCancel(t.Context()), j.ID) }() // ends a stream that goes on
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	// The second request is made on the connection of the first.
	for _, tt := range []struct{ method, path, contentType string }{
		{"HEAD", "/jobs/" + j.ID + "/events", "text/event-stream"}, {"GET", "/jobs/" + j.ID, "application/json"},
	} {
		req, err := http.NewRequestWithContext(ctx, tt.method, srv.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", s.Bearer(t, "anna", false))
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != tt.contentType || (len(body) > 0) != (tt.method == "GET") {
			t.Errorf("%s %s: %d, %s, %q, %v", tt.method, tt.path, resp.StatusCode, resp.Header.Get("Content-Type"), body, err)
		}
	}
}

func TestAStreamEndsWithTheRightsOfItsAdministrator(t *testing.T) {
	s := fixture.New(t)
	s.Bearer(t, "root", true) // somebody else has to be left in charge
	yes, no := true, false
	for name, change := range map[string]ledger.UserChange{"demoted": {Admin: &no}, "disabled": {Disabled: &yes}} {
		others := listenAs(t, s, s.Job(t, "anna").ID, s.Bearer(t, name, true))
		own := s.Job(t, name)
		theirs := listenAs(t, s, own.ID, s.Bearer(t, name, false))
		if got, still := next(t, others), next(t, theirs); got != "received 0" || still != "received 0" {
			t.Fatalf("%s: first events %q, %q", name, got, still)
		}
		if _, err := s.Ledger.ChangeUser(t.Context(), name, change); err != nil {
			t.Fatal(err)
		}
		if got := next(t, others); got != "end" || others.Err() != nil {
			t.Errorf("%s: event %q of another's job, %v", name, got, others.Err())
		}
		if _, err := s.Ledger.DeleteJob(t.Context(), own.ID); err != nil {
			t.Fatal(err)
		}
		if got := next(t, theirs); got != "deleted" {
			t.Errorf("%s: event %q of their own job", name, got)
		}
	}
}
