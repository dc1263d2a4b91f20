package alchemist_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// TestADeadLetterIsReplayed breaks the work folder and then the video for
// real, and spares the broker the seventeen minutes of its retries by telling
// its queue that they are over.
func TestADeadLetterIsReplayed(t *testing.T) {
	place := embedded(t)
	s := start(t, place)
	work := filepath.Join(place.data, "work")
	if err := os.RemoveAll(work); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(work, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := s.admin(t).upload(t, "talk.mp4", video(t, 1))
	eventually(t, "a delivery fails", 20*time.Second, func() bool { return strings.Contains(s.log.String(), "event will be delivered again") })
	s.stop(t)
	if err := os.Remove(work); err != nil {
		t.Fatal(err)
	}
	lastTry(t, filepath.Join(place.data, "queue.db"))
	videos := place.files(t, "blobs")
	if len(videos) != 1 {
		t.Fatalf("blobs %v", videos)
	}
	aside := filepath.Join(t.TempDir(), "video")
	rename(t, videos[0], aside)
	if err := os.Mkdir(videos[0], 0o700); err != nil { // which can be opened, and not read
		t.Fatal(err)
	}

	s = start(t, place)
	p := pluginFor(t, s).as(adminEmail, adminPassword)
	var letters []letterView
	eventually(t, "the letter is there", 20*time.Second, func() bool {
		letters = shown[letterList](t, p, "deadletter", "list").Deadletters
		return len(letters) == 1
	})
	l := letters[0]
	if l.Job != j.ID || l.Status != 503 || l.Times != 1 || !strings.HasSuffix(l.Subscriber, "/convert") || strings.Count(l.Subscriber, "/") != 3 ||
		!strings.Contains(l.Answer, `"status":503`) || !strings.Contains(string(l.Event), j.ID+".0.video.uploaded") {
		t.Errorf("letter %+v", l)
	}
	if failed := shown[job.View](t, p, "job", "show", j.ID); failed.State != job.Failed {
		t.Errorf("the job: %+v", failed)
	}
	eventually(t, "its owner was told", 10*time.Second, func() bool { return len(s.mails(t)) == 1 })
	if text := p.want(t, 0, "status", "-o", "yaml"); !strings.Contains(text, "deadletters:\n  count: 1\n") {
		t.Errorf("status:\n%s", text)
	}
	p.want(t, 4, "deadletter", "replay", j.ID) // the id of something else
	if err := os.Remove(videos[0]); err != nil {
		t.Fatal(err)
	}
	rename(t, aside, videos[0])
	if got := p.want(t, 0, "deadletter", "replay", "--all"); got != l.ID+" replayed\n" {
		t.Errorf("replayed %q", got)
	}
	eventually(t, "the job is done", 20*time.Second, func() bool {
		return shown[job.View](t, p, "job", "show", j.ID).State == job.Done
	})
	if left := shown[letterList](t, p, "deadletter", "list").Deadletters; len(left) != 0 {
		t.Errorf("left %+v", left)
	}
	p.want(t, 4, "deadletter", "drop", l.ID)
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// lastTry makes the one message of a queue that nobody has open due now, for
// the last of nine retries. A message begins with their number as a varint.
func lastTry(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	r, err := db.ExecContext(t.Context(), `update goqite set body = cast(x'12' || substr(body, 2) as blob), timeout = '2026-01-01T00:00:00.000Z'`)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.RowsAffected(); n != 1 || err != nil {
		t.Fatalf("%d messages, %v", n, err)
	}
}
