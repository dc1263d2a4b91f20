package interop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// video makes a video of two seconds with a tone.
func video(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "video.mp4")
	cmd := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=160x120:r=10:d=2",
		"-f", "lavfi", "-i", "sine=440:d=2", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
