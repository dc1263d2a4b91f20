//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// alchemist runs the plugin of kn by kn itself, as the administrator.
func (w *world) alchemist(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kn", append([]string{"alchemist", "--namespace", w.namespace, "--ingress", os.Getenv("INGRESS")}, args...)...)
	cmd.Env = append(os.Environ(), "ALCHEMIST_EMAIL="+w.secret(t, "admin", "email"), "ALCHEMIST_PASSWORD="+w.secret(t, "admin", "password"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kn alchemist %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestThePluginWorksOnTheCluster(t *testing.T) {
	status := the.alchemist(t, "status")
	for _, f := range functions() {
		if !strings.Contains(status, f) {
			t.Errorf("status does not tell of %s:\n%s", f, status)
		}
	}
	source, result := filepath.Join(t.TempDir(), "talk.mp4"), filepath.Join(t.TempDir(), "talk.mp3")
	if err := os.WriteFile(source, video(t, 2), 0o600); err != nil {
		t.Fatal(err)
	}
	the.alchemist(t, "convert", source, "-o", result)
	mp3, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	if n := samples(t, mp3); n < 2*44100-1152 || n > 2*44100+1152 {
		t.Errorf("the MP3 has %d samples, want those of 2 s", n)
	}
	var list struct {
		Jobs []struct{ ID, Name string }
	}
	jobs := the.alchemist(t, "job", "list", "--limit", "1", "-o", "json")
	if err := json.Unmarshal([]byte(jobs), &list); err != nil || len(list.Jobs) != 1 || list.Jobs[0].Name != "talk.mp4" {
		t.Fatalf("job list: %v in %s", err, jobs)
	}
	again := filepath.Join(t.TempDir(), "again.mp3")
	the.alchemist(t, "job", "download", list.Jobs[0].ID, "-o", again, "-q")
	if downloaded, err := os.ReadFile(again); err != nil || !bytes.Equal(downloaded, mp3) {
		t.Errorf("job download: %d bytes of %d, %v", len(downloaded), len(mp3), err)
	}
	the.alchemist(t, "user", "add", "ada-"+unique()+"@example.org")
	if users := the.alchemist(t, "user", "list"); !strings.Contains(users, "ada-") {
		t.Errorf("user list: %s", users)
	}
}
