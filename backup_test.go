package alchemist_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/docs"
)

// TestABackupWhileItRunsIsRestored makes a backup of the data folder by the
// commands of docs/operations.md, and starts the system over it.
func TestABackupWhileItRunsIsRestored(t *testing.T) {
	dir := t.TempDir()
	s := start(t, embeddedIn(filepath.Join(dir, "data")))
	c := s.admin(t)
	done := c.await(t, c.upload(t, "talk.mp4", video(t, 1)).ID)
	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", docs.Blocks(t, "docs/operations.md", "Backup", "sh")[0])
	shell.Dir, shell.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	later := c.upload(t, "later.mp4", video(t, 1))
	mp3 := "/download?fid=" + done.Results[0].FID
	_, want := c.call(t, http.MethodGet, mp3)
	if code := s.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}

	made, err := filepath.Glob(filepath.Join(dir, "backup-*"))
	if err != nil || len(made) != 1 {
		t.Fatalf("backups: %v, %v", made, err)
	}
	c.server = start(t, embeddedIn(made[0])) // its token is valid, as the keys are in it
	if got := c.job(t, done.ID); got.State != job.Done {
		t.Errorf("the job is %+v", got)
	}
	if status, got := c.call(t, http.MethodGet, mp3); status != http.StatusOK || !bytes.Equal(got, want) {
		t.Errorf("download: %d, %d bytes, want the same %d", status, len(got), len(want))
	}
	if status, body := c.call(t, http.MethodGet, "/jobs/"+later.ID); status != http.StatusNotFound {
		t.Errorf("a job from after the backup: %d %s", status, body)
	}
	if again := c.await(t, c.upload(t, "talk.mp4", video(t, 1)).ID); again.State != job.Done {
		t.Errorf("a job after the restore: %+v", again)
	}
}
