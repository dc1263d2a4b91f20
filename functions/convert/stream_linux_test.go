package convert

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/gridfs"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// roomAtMost is how much a video that can be streamed may take of the disk.
const roomAtMost = 16 << 20

// large is the arguments for a video of some 40 MB, nearly all of it picture.
const large = "-f lavfi -i testsrc=size=320x240:rate=25:duration=14 -f lavfi -i sine=duration=14 -c:v rawvideo -pix_fmt yuv420p "

// room is how much of the disk the files without a name take that were made
// in a folder and are open.
func room(t *testing.T, folder string) (bytes int64) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		path := filepath.Join("/proc/self/fd", fd.Name())
		if name, err := os.Readlink(path); err != nil || !strings.HasPrefix(name, folder) {
			continue
		}
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			bytes += st.Sys().(*syscall.Stat_t).Blocks * 512
		}
	}
	return bytes
}

func TestAVideoElsewhereIsNotCopiedWhereItCanBeStreamed(t *testing.T) {
	tests := map[string]struct {
		name, args string
		reads      float64 // at most, of the whole
		copied     bool
	}{
		"mov, index at the end": {name: "back.mov", args: large + "-c:a aac", reads: 0.1},
		"mov, index in front":   {name: "front.mov", args: large + "-c:a aac -movflags +faststart", reads: 0.1},
		"mkv":                   {name: "a.mkv", args: large + "-c:a aac", reads: 1.3}, // its head is also probed
		"caf":                   {name: "a.caf", args: "-f lavfi -i anoisesrc=duration=120 -ac 2 -c:a pcm_s32le", reads: 1.01, copied: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			content := video(t, tt.name, tt.args)
			w := start(t)
			w.blobs.remote = true
			most, read := int64(0), int64(0)
			w.blobs.onRead = func(n int64) error {
				most, read = max(most, room(t, w.work)), n
				return nil
			}
			j := w.job(t, content)
			status, _ := w.deliver(t.Context(), t, j)
			wantStatus(t, status, http.StatusOK)
			if done := w.read(t, j.ID); done.State != job.Done {
				t.Fatalf("job %+v", done)
			}
			if copied := most > roomAtMost; copied != tt.copied {
				t.Errorf("a video of %d bytes took %d of the disk", len(content), most)
			}
			if float64(read) > tt.reads*float64(len(content)) {
				t.Errorf("read %d bytes of a video of %d", read, len(content))
			}
			t.Logf("a video of %d bytes: read %d, took %d of the disk", len(content), read, most)
			if left := room(t, w.work); left > 0 {
				t.Errorf("%d bytes are left on the disk", left)
			}
			w.clean(t, 1)
		})
	}
}

func TestAStoreThatDiesInTheMiddleIsTriedAgain(t *testing.T) {
	content := video(t, "a.mkv", large+"-c:a aac")
	for name, at := range map[string]int64{"at the start": 0, "while it is probed": 1 << 20, "in the middle": int64(len(content)) / 2} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.blobs.remote = true
			w.blobs.onRead = func(n int64) error {
				if n >= at {
					return fail.Wrap(fail.Unavailable, errors.New("connection lost"), "read blob")
				}
				return nil
			}
			j := w.job(t, content)
			status, reply := w.deliver(t.Context(), t, j)
			wantStatus(t, status, http.StatusServiceUnavailable)
			if got := w.read(t, j.ID); got.State != job.Queued || reply != nil {
				t.Errorf("job %+v, reply %v", got, reply)
			}
			w.clean(t, 0)
			w.blobs.onRead = nil
			status, _ = w.deliver(t.Context(), t, j)
			wantStatus(t, status, http.StatusOK)
			w.clean(t, 1)
		})
	}
}

// TestAGridFSThatIsKilledInTheMiddleIsTriedAgain is the same with a server.
func TestAGridFSThatIsKilledInTheMiddleIsTriedAgain(t *testing.T) {
	s := servers.StartMongo(t)
	grid, err := gridfs.Open(s.URL(), gridfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = grid.Close() }()
	w := start(t)
	w.blobs.Store, w.Blobs = grid, grid
	j := w.job(t, video(t, "a.mkv", large+"-c:a aac"))
	w.blobs.remote = true
	most, killed := int64(0), false
	w.blobs.onRead = func(n int64) error {
		if most = max(most, room(t, w.work)); n > 20<<20 && !killed {
			killed = true
			s.Kill()
		}
		return nil
	}
	_, err = handler(w.deps)(t.Context(), ledger.UploadedEvent(j))
	fixture.WantKind(t, err, fail.Unavailable)
	if !killed || w.read(t, j.ID).State != job.Queued {
		t.Errorf("killed %v, job %+v", killed, w.read(t, j.ID))
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, func() bool { return grid.Ready(t.Context()) == nil })
	w.clean(t, 0)
	status, _ := w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusOK)
	if most > roomAtMost {
		t.Errorf("the video took %d bytes of the disk", most)
	}
	w.clean(t, 1)
	if _, err := grid.Open(t.Context(), blob.Videos, j.Source); err != nil {
		t.Error(err)
	}
}
