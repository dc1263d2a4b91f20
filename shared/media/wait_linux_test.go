package media

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoProgramWaitsForTheClock converts twenty seconds of sound, read as a
// file and as a stream, to an MP3 and to an AAC of which everything is asked
// for, and counts how often ffmpeg sleeps: beside other inputs it would do so
// for each 8 packets of a pipe (see pipeArgs), some 120 times for each result.
func TestNoProgramWaitsForTheClock(t *testing.T) {
	folder := t.TempDir()
	content := sample(t, "a.flac", "-f lavfi -i anoisesrc=duration=20:sample_rate=48000 -c:a flac")
	for _, name := range []string{"good file", "good stream"} { // in this order, see corpus.try
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	order, err := json.Marshal(corpus{Folder: folder, Of: 1})
	if err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-Y", "-o", trace, "-e", "signal=none", "-e", "trace=execve,clock_nanosleep", "--", trier(t))
	cmd.Env = append(os.Environ(), "MEDIA_TEST_CORPUS="+string(order))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	starts, sleeps := 0, 0
	for line := range strings.Lines(string(lines)) {
		switch by, call, _ := parts(line); {
		case by == "ffmpeg" && call == "clock_nanosleep":
			sleeps++
		case call == "execve" && strings.Contains(line, "/ffmpeg\""):
			starts++
		}
	}
	if starts < 6 || sleeps > 20 {
		t.Errorf("%d starts of ffmpeg, %d sleeps; %s", starts, sleeps, out)
	}
}
