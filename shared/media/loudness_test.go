package media

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

var summary = regexp.MustCompile(`(?s)I:\s+(-?[0-9.]+) LUFS.*Peak:\s+(-?[0-9.]+) dBFS`)

// loudnessOf measures a result with a plain ffmpeg.
func loudnessOf(t *testing.T, f *os.File) (lufs, peak float64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-nostats", "-i", "/dev/fd/3", "-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-")
	cmd.ExtraFiles = []*os.File{f}
	b, err := cmd.CombinedOutput()
	all := summary.FindSubmatch(b)
	if err != nil || all == nil {
		t.Fatalf("%v\n%s", err, b)
	}
	lufs, _ = strconv.ParseFloat(string(all[1]), 64)
	peak, _ = strconv.ParseFloat(string(all[2]), 64)
	return lufs, peak
}

func TestLoudnessIsNormalized(t *testing.T) {
	quiet := wave(40*44100, 44100, 2)
	peaks := append([]byte(nil), quiet...) // a click each second, at full scale
	for i := 44; i+4 <= len(peaks); i += 4 * 44100 {
		peaks[i], peaks[i+1] = 0xFF, 0x7F
	}
	sources := map[string][]byte{"even": quiet, "with peaks": peaks}
	for name, content := range sources {
		for _, target := range []float64{-23, -16, -9} {
			for _, f := range []options.Format{options.MP3, options.Opus, options.FLAC} {
				t.Run(fmt.Sprintf("%s %g %s", name, target, f), func(t *testing.T) {
					_, _, out, err := convertInput(t, local(t, content), options.Options{Formats: []options.Format{f}, Normalize: target})
					if err != nil {
						t.Fatal(err)
					}
					lufs, peak := loudnessOf(t, out)
					t.Logf("%.1f LUFS, %.1f dBTP", lufs, peak)
					if math.Abs(lufs-target) > 0.5 || peak > -1 {
						t.Errorf("%.1f LUFS, %.1f dBTP; want %g LUFS, at most -1 dBTP", lufs, peak, target)
					}
				})
			}
		}
	}
	silence := wave(44100, 44100, 2)
	clear(silence[44:])
	_, m, _, err := convertInput(t, local(t, silence), options.Options{Normalize: -16})
	if err != nil || m.Duration != time.Second {
		t.Errorf("silence: %+v, %v", m, err)
	}
}
