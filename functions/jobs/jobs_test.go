package jobs

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
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
