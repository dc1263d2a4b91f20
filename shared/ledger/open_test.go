package ledger

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestOpenTwiceKeepsWhatIsThere(t *testing.T) {
	for name, address := range databases {
		t.Run(name, func(t *testing.T) {
			there := address(t)
			first := must(Open(t.Context(), there))
			j := create(t, first, "anna")
			second := must(Open(t.Context(), there))
			if _, err := second.Job(t.Context(), j.ID); err != nil {
				t.Error(err)
			}
			if err := errors.Join(second.Ready(t.Context()), first.Close(), second.Close()); err != nil {
				t.Error(err)
			}
			wantKind(t, second.Ready(t.Context()), fail.Unavailable)
		})
	}
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, address := range []string{"", "postgres://x", "sqlite:", "/a/file"} {
		_, err := Open(t.Context(), address)
		wantKind(t, err, fail.Invalid)
	}
	_, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "no", "such", "folder", "x.db"))
	wantKind(t, err, fail.Unavailable)
}
