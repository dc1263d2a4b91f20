package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/place"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Main(os.Args[1:]))
	}
	time.Local = time.UTC // tables show local times
	os.Exit(m.Run())
}

var (
	began  = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	reason = "The file has no sound."
	id     = "01936f2e-4b5a-7cc3-98c4-dc0c0c07398f"
)

func jobs() []job.View {
	return []job.View{
		{ID: id, Name: "Füße\t\"live\" 🎬.mp4", State: job.Done, Progress: 100, CreatedAt: began, UpdatedAt: began.Add(time.Minute),
			Options: options.Options{Formats: []options.Format{"mp3", "flac"}, Bitrate: 192000},
			Owner:   &job.Owner{ID: "7", Email: "anna@example.com"},
			Results: []job.ResultView{{FID: "5", Name: "a.mp3", Format: "mp3", Bytes: 4812345, DurationSeconds: 200.5, URL: "/download?fid=5&expires=1"}}},
		{ID: "2", Name: "b.mp4", State: job.Failed, Error: &reason, CreatedAt: began, UpdatedAt: began, Owner: &job.Owner{ID: "8"}, Results: []job.ResultView{}},
	}
}

func letters() []api.Letter {
	status := 503
	return []api.Letter{
		{ID: "1", Job: &id, EventID: id + ".0.video.uploaded", Type: "dev.audioalchemist.video.uploaded.v1", Source: "/upload",
			Subscriber: "http://convert.audio-alchemist.svc.cluster.local/", Status: &status, Answer: "no\nffmpeg", Times: 2,
			FirstAt: began, LastAt: began.Add(time.Hour), Event: json.RawMessage(`{"id":"x"}`)},
		{ID: "2", Type: "foreign", Times: 1, FirstAt: began, LastAt: began, Event: json.RawMessage("null")},
	}
}

func standing() state {
	age := 3725
	return state{
		Address: "http://gateway.audio-alchemist.example.org",
		Functions: []place.Function{
			{Name: "login", Ready: true, URL: "http://login.audio-alchemist.example.org"},
			{Name: "convert", Detail: "RevisionFailed: no such image"},
		},
		Status: &api.Status{
			Stores: map[string]api.Store{"ledger": {Usable: true}, "blobs": {Detail: "The disk is gone."}},
			Jobs:   map[job.State]api.Depth{job.Queued: {Count: 3, OldestAgeSeconds: &age}, job.Done: {}}, Notices: &api.Depth{}, Letters: &api.Depth{Count: 1},
		},
	}
}

func TestWhatIsShown(t *testing.T) {
	users := []api.User{
		{ID: "7", Email: "anna@example.com", Admin: true, CreatedAt: began}, {ID: "8", Email: "ben@example.com", Disabled: true, CreatedAt: began},
	}
	made := api.User{ID: "9", Email: "eva@example.com", CreatedAt: began, Password: "abcde-fghij"}
	for name, tt := range map[string]struct {
		value any
		rows  func() table
	}{
		"users":   {map[string]any{"users": users}, func() table { return userTable(users) }},
		"user":    {made, func() table { return userTable([]api.User{made}) }},
		"jobs":    {map[string]any{"jobs": jobs()}, func() table { return jobTable(jobs(), true) }},
		"own":     {map[string]any{"jobs": []job.View{}}, func() table { return jobTable(jobs(), false) }},
		"job":     {jobs()[0], func() table { return jobDetails(jobs()[0]) }},
		"letters": {map[string]any{"deadletters": letters()}, func() table { return letterTable(letters()) }},
		"status":  {standing(), standing().table},
	} {
		for _, format := range []format{{"table"}, {"json"}, {"yaml"}} {
			t.Run(name+"."+format.name, func(t *testing.T) {
				var b bytes.Buffer
				if err := format.show(&b, tt.value, tt.rows); err != nil {
					t.Fatal(err)
				}
				golden(t, name+"."+format.name, b.Bytes())
			})
		}
	}
}

// golden holds what was made against a file, or writes that with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAge(t *testing.T) {
	for seconds, want := range map[int]string{0: "0s", 59: "59s", 61: "1m1s", 7325: "2h2m", 200_000: "2d"} {
		if got := age(&seconds); got != want {
			t.Errorf("%d s: %s, want %s", seconds, got, want)
		}
	}
	if got := age(nil); got != "" {
		t.Errorf("of none: %s", got)
	}
}
