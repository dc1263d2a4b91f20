package jobs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
)

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
