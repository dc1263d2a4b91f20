package jobs

import (
	"context"
	"net/http"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

func TestAdministratorsListTheJobsOfOthers(t *testing.T) {
	s := fixture.New(t)
	anna, err := s.Ledger.CreateUser(t.Context(), user.User{Email: "anna@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	waiting, failed, other := s.Job(t, anna.ID), s.Failed(t, anna.ID, "x"), s.Done(t, "gone", "mp3")
	admin := s.Bearer(t, "root", true)
	for query, want := range map[string][]string{
		"":                                 {},
		"?all=false":                       {},
		"?all=true":                        {other.ID, failed.ID, waiting.ID},
		"?all=true&state=done":             {other.ID},
		"?user=Anna@example.com":           {failed.ID, waiting.ID},
		"?user=" + anna.ID:                 {failed.ID, waiting.ID},
		"?user=" + job.NewID():             {},
		"?user=" + anna.ID + "&state=done": {},
	} {
		resp, body := fixture.Call(t, function(s), "GET", "/jobs"+query, admin)
		p := fixture.Decode[page](t, body)
		var got []string
		for _, j := range p.Jobs {
			got = append(got, j.ID)
			wantOwner := job.Owner{ID: anna.ID, Email: anna.Email}
			if j.ID == other.ID {
				wantOwner = job.Owner{ID: "gone"}
			}
			if j.Owner == nil || *j.Owner != wantOwner {
				t.Errorf("%s: owner %+v", query, j.Owner)
			}
		}
		if resp.StatusCode != 200 || strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %d %v, want %v", query, resp.StatusCode, got, want)
		}
	}
	_, body := fixture.Call(t, function(s), "GET", "/jobs?all=true&limit=1", admin)
	if next := fixture.Decode[page](t, body).Next; next == nil || !strings.Contains(*next, "all=true") {
		t.Errorf("the next page is %s", body)
	}
	own := s.Bearer(t, anna.ID, false)
	_, body = fixture.Call(t, function(s), "GET", "/jobs?state=failed", own)
	if p := fixture.Decode[page](t, body); len(p.Jobs) != 1 || p.Jobs[0].ID != failed.ID || p.Jobs[0].Owner != nil {
		t.Errorf("her own: %s", body)
	}
}

func TestAdministrationIsForAdministrators(t *testing.T) {
	s := fixture.New(t)
	anna, admin := s.Bearer(t, "anna", false), s.Bearer(t, "root", true)
	l := letterIn(t, s, ledger.Letter{Type: "x"}, 0)
	tests := map[string]struct {
		method, path, auth string
		status             int
	}{
		"all jobs":                {"GET", "/jobs?all=true", anna, 403},
		"jobs of another":         {"GET", "/jobs?user=ben@example.com", anna, 403},
		"jobs of nobody":          {"GET", "/jobs?user=ben@example.com", admin, 404},
		"no such state":           {"GET", "/jobs?state=lost", anna, 400},
		"all or not":              {"GET", "/jobs?all=perhaps", admin, 400},
		"all and one":             {"GET", "/jobs?all=true&user=x", admin, 400},
		"letters":                 {"GET", "/deadletters", anna, 403},
		"letters without a token": {"GET", "/deadletters", "", 401},
		"letters before nothing":  {"GET", "/deadletters?before=x", admin, 400},
		"drop":                    {"DELETE", "/deadletters/" + l.ID, anna, 403},
		"drop of none":            {"DELETE", "/deadletters/" + job.NewID(), admin, 404},
		"replay":                  {"POST", "/deadletters/" + l.ID + "/replay", anna, 403},
		"replay of no id":         {"POST", "/deadletters/x/replay", admin, 404},
		"status":                  {"GET", "/status", anna, 403},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if resp, body := fixture.Call(t, function(s), tt.method, tt.path, tt.auth); resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.status, body)
			}
		})
	}
	if _, err := s.Ledger.Letter(t.Context(), l.ID); err != nil || len(s.Broker.Events()) != 0 {
		t.Errorf("a refused request did something: %v", err)
	}
}

func TestAnAdministratorWhoIsNoneAnyMoreSeesTheirOwnJobsAlone(t *testing.T) {
	s := fixture.New(t)
	yes, no := true, false
	for name, change := range map[string]ledger.UserChange{"demoted": {Admin: &no}, "disabled": {Disabled: &yes}} {
		t.Run(name, func(t *testing.T) {
			with := s.Bearer(t, name, true)
			other, own := s.Done(t, "anna", "mp3"), s.Done(t, name, "mp3")
			if resp, body := fixture.Call(t, function(s), "GET", "/jobs/"+other.ID, with); resp.StatusCode != 200 {
				t.Fatalf("before: %d %s", resp.StatusCode, body)
			}
			// Somebody else has to be left in charge.
			s.Bearer(t, "root", true)
			if _, err := s.Ledger.ChangeUser(t.Context(), name, change); err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]int{"/jobs?all=true": 403, "/status": 403, "/deadletters": 403, "/jobs/" + other.ID: 404, "/jobs/" + own.ID: 200} {
				if resp, body := fixture.Call(t, function(s), "GET", path, with); resp.StatusCode != want {
					t.Errorf("%s: %d, want %d: %s", path, resp.StatusCode, want, body)
				}
			}
		})
	}
}

// letterIn writes a dead letter down and returns it as it is kept.
func letterIn(t *testing.T, s *fixture.Stores, l ledger.Letter, run int) ledger.Letter {
	t.Helper()
	if kept, err := s.Ledger.KeepLetter(t.Context(), l, run); err != nil || !kept {
		t.Fatalf("kept %v, %v", kept, err)
	}
	all, err := s.Ledger.Letters(t.Context(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// letterAbout is a dead letter of an event.
func letterAbout(jobID string, e cloudevents.Event) ledger.Letter {
	return ledger.Letter{
		Job: jobID, EventID: e.ID(), Type: e.Type(), Source: e.Source(), Subscriber: "http://convert", Status: 503, Answer: "no", Event: &e,
	}
}

func TestLettersAreListedInPages(t *testing.T) {
	s := fixture.New(t)
	admin := s.Bearer(t, "root", true)
	if _, body := fixture.Call(t, function(s), "GET", "/deadletters", admin); strings.TrimSpace(string(body)) != `{"deadletters":[],"next":null}` {
		t.Errorf("of none: %s", body)
	}
	j := s.Failed(t, "anna", "x")
	e := ledger.UploadedEvent(j)
	letterIn(t, s, letterAbout(j.ID, e), 0)
	letterIn(t, s, ledger.Letter{EventID: "1", Type: "foreign", Source: "/x", Status: -1, Answer: "connection refused"}, 0)
	_, body := fixture.Call(t, function(s), "GET", "/deadletters?limit=1", admin)
	first := fixture.Decode[letters](t, body)
	if len(first.Letters) != 1 || first.Next == nil {
		t.Fatalf("first page %s", body)
	}
	if l := first.Letters[0]; l.Job != nil || l.Status != nil || l.Answer != "connection refused" || string(l.Event) != "null" || l.Times != 1 {
		t.Errorf("letter %s", body)
	}
	_, body = fixture.Call(t, function(s), "GET", *first.Next, admin)
	second := fixture.Decode[letters](t, body)
	if len(second.Letters) != 1 || second.Next != nil {
		t.Fatalf("second page %s", body)
	}
	l := second.Letters[0]
	if *l.Job != j.ID || *l.Status != 503 || l.Subscriber != "http://convert" || !strings.Contains(string(l.Event), `"id":"`+e.ID()+`"`) {
		t.Errorf("letter %s", body)
	}
}

func TestReplay(t *testing.T) {
	s := fixture.New(t)
	admin := s.Bearer(t, "root", true)
	failed, done := s.Failed(t, "anna", "x"), s.Done(t, "anna", "mp3")
	outcome, _ := ledger.OutcomeEvent(done)
	foreign := cloudevents.New()
	foreign.SetID("1")
	foreign.SetType("foreign")
	foreign.SetSource("/x")
	for name, tt := range map[string]struct {
		letter ledger.Letter
		status int
		sent   string // id of the event that is sent
	}{
		"an upload is a new run":     {letterAbout(failed.ID, ledger.UploadedEvent(failed)), 204, failed.ID + ".1.video.uploaded"},
		"an outcome is told again":   {letterAbout(done.ID, outcome), 204, outcome.ID()},
		"a foreign event goes again": {letterAbout("", foreign), 204, "1"},
		"one that was too large":     {ledger.Letter{Type: "large"}, 409, ""},
	} {
		l := letterIn(t, s, tt.letter, 0)
		before := len(s.Broker.Events())
		resp, body := fixture.Call(t, function(s), "POST", "/deadletters/"+l.ID+"/replay", admin)
		if resp.StatusCode != tt.status {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
		sent := s.Broker.Events()[before:]
		if tt.sent == "" {
			continue
		}
		if len(sent) != 1 || sent[0].ID() != tt.sent {
			t.Errorf("%s: sent %v", name, sent)
		}
		_, err := s.Ledger.Letter(t.Context(), l.ID)
		fixture.WantKind(t, err, fail.NotFound)
	}
	if j, err := s.Ledger.Job(t.Context(), failed.ID); err != nil || j.State != job.Queued || j.Run != 1 {
		t.Errorf("the failed job: %+v, %v", j, err)
	}
}

func TestALetterThatCannotBeSentStays(t *testing.T) {
	s := fixture.New(t)
	e := cloudevents.New()
	e.SetID("1")
	e.SetType("foreign")
	e.SetSource("/x")
	l := letterIn(t, s, letterAbout("", e), 0)
	s.Broker.Answer(http.StatusServiceUnavailable)
	if resp, _ := fixture.Call(t, function(s), "POST", "/deadletters/"+l.ID+"/replay", s.Bearer(t, "root", true)); resp.StatusCode != 503 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if _, err := s.Ledger.Letter(t.Context(), l.ID); err != nil {
		t.Error(err)
	}
	if resp, _ := fixture.Call(t, function(s), "DELETE", "/deadletters/"+l.ID, s.Bearer(t, "root", true)); resp.StatusCode != 204 {
		t.Errorf("dropped: %d", resp.StatusCode)
	}
	_, err := s.Ledger.Letter(t.Context(), l.ID)
	fixture.WantKind(t, err, fail.NotFound)
}

// away is a store that cannot be used.
type away struct{ blob.Store }

func (away) Ready(context.Context) error { return fail.New(fail.Unavailable, "The disk is gone.") }

func TestStatus(t *testing.T) {
	s := fixture.New(t)
	admin := s.Bearer(t, "root", true)
	s.Job(t, "anna")
	j := s.Failed(t, "anna", "x")
	letterIn(t, s, letterAbout(j.ID, ledger.UploadedEvent(j)), 0)
	resp, body := fixture.Call(t, function(s), "GET", "/status", admin)
	got := fixture.Decode[status](t, body)
	if resp.StatusCode != 200 || len(got.Jobs) != 5 || got.Jobs[job.Received].Count != 1 || got.Jobs[job.Failed].OldestAgeSeconds == nil ||
		got.Jobs[job.Done].OldestAgeSeconds != nil || got.Notices.Count != 1 || got.Letters.Count != 1 || !got.Stores["ledger"].Usable || !got.Stores["blobs"].Usable {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	s.Blobs = away{s.Blobs}
	if err := s.Ledger.Close(); err != nil {
		t.Fatal(err)
	}
	resp, body = fixture.Call(t, function(s), "GET", "/status", admin)
	got = fixture.Decode[status](t, body)
	if resp.StatusCode != 200 || got.Jobs != nil || got.Notices != nil || got.Stores["ledger"].Usable ||
		got.Stores["blobs"] != (store{Detail: "The disk is gone."}) {
		t.Errorf("with both away: %d %s", resp.StatusCode, body)
	}
}
