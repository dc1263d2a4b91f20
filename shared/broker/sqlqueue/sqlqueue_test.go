package sqlqueue_test

import (
	"path/filepath"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/queuetest"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/sqlqueue"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func open(t *testing.T, path string) *sqlqueue.Queue {
	t.Helper()
	q, err := sqlqueue.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueue(t *testing.T) {
	queuetest.Run(t, func(t *testing.T, place string) broker.Queue {
		return open(t, filepath.Join(place, "queue.db"))
	})
}

func TestOpenRefusesAFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, path)
	if _, err := sqlqueue.Open(t.Context(), path); !fail.Is(err, fail.Unavailable) {
		t.Errorf("second Open: got %v, want an unavailable error", err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path).Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenTakesAnyPath(t *testing.T) {
	for _, name := range []string{"a b.db", "100%.db", "what?.db", "a#b&c=d.db", "ä.db"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			q := open(t, filepath.Join(dir, name))
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 || filepath.Base(files[0]) != name {
				t.Errorf("made %q, want %q", files, name)
			}
		})
	}
}

func TestOpenRefusesWhatIsNoQueue(t *testing.T) {
	if _, err := sqlqueue.Open(t.Context(), filepath.Join(t.TempDir(), "no", "such", "folder", "queue.db")); !fail.Is(err, fail.Unavailable) {
		t.Errorf("got %v, want an unavailable error", err)
	}
}
