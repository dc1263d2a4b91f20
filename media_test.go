package alchemist_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// video makes a video with ffmpeg: a test picture and a tone of the length.
func video(t *testing.T, seconds float64, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "video.mp4")
	ffmpeg(t, append(append([]string{
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=96x64:r=5:d=%g", seconds), "-f", "lavfi", "-i", fmt.Sprintf("sine=440:d=%g", seconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-crf", "40", "-c:a", "aac", "-b:a", "48k",
	}, args...), path)...)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
}

var durationLine = regexp.MustCompile(`duration=([0-9.]+)`)

// duration asks ffprobe how long a file really is, by decoding its packets.
func duration(t *testing.T, content []byte) float64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "it.mp3")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format=duration:stream=codec_name", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	m := durationLine.FindSubmatch(out)
	if m == nil || !bytes.Contains(out, []byte("codec_name=mp3")) {
		t.Fatalf("ffprobe says %s", out)
	}
	var d float64
	if _, err := fmt.Sscan(string(m[1]), &d); err != nil {
		t.Fatal(err)
	}
	return d
}
