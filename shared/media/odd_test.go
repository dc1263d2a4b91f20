package media

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// remade pipes content through ffmpeg, to an output that cannot seek.
func remade(t *testing.T, content []byte, args string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields("-hide_banner -loglevel error -i pipe:0 "+args+" pipe:1")...)
	cmd.Stdin = bytes.NewReader(content)
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOddFilesThatAreWhole(t *testing.T) {
	mp3 := sample(t, "a.mp3", tone)
	fast := sample(t, "front.mp4", film+" "+tone+h264+" -c:a aac -movflags +faststart")
	tests := map[string]struct {
		content []byte
		want    time.Duration
	}{
		"cover film in mp3":      {sample(t, "pic.mp3", tone+" -f lavfi -i testsrc=rate=1:duration=1 -map 0 -map 1 -c:v png -disposition:v attached_pic"), 4 * time.Second},
		"cover film in m4a":      {sample(t, "pic.m4a", tone+" -f lavfi -i testsrc=rate=1:duration=1 -map 0 -map 1 -c:a aac -c:v png -disposition:v attached_pic"), 4 * time.Second},
		"two mp3 in one":         {append(bytes.Clone(mp3), mp3...), 8 * time.Second},
		"no Xing header":         {sample(t, "a.mp3", tone+" -q:a 5 -write_xing 0"), 4 * time.Second},
		"wav of unknown size":    {remade(t, mp3, "-f wav"), 4 * time.Second},
		"flac of unknown length": {remade(t, mp3, "-f flac"), 4 * time.Second},
		"mkv of unknown length":  {remade(t, mp3, "-c copy -f matroska"), 4 * time.Second},
		"a part, in fragments":   {remade(t, fast, "-ss 1.3 -t 2 -c copy -movflags frag_keyframe+empty_moov+delay_moov -f mp4"), 2 * time.Second},
		"zeros after an mp4":     {append(bytes.Clone(fast), make([]byte, 5000)...), 4 * time.Second},
		"text after an mp4":      {append(bytes.Clone(fast), "\x01\x02\x03\x04\x01\x02\x03\x04 appended"...), 4 * time.Second},
		"three bytes short":      {fast[:len(fast)-3], 4 * time.Second},
		"sound that begins late": {sample(t, "late.mkv", "-itsoffset 2 "+tone+" "+film+h264+" -c:a aac"), 4 * time.Second},
		"very short":             {sample(t, "tiny.wav", "-f lavfi -i sine=duration=0.02"), 20 * time.Millisecond},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			info, m, _, err := convert(t, tt.content, options.Options{Bitrate: 192_000})
			if err != nil || !near(m.Duration, tt.want) {
				t.Errorf("duration %v, error %v; want %v (%+v)", m.Duration, err, tt.want, info)
			}
		})
	}
}

func TestAnMP4CutAnywhereIsRefused(t *testing.T) {
	for name, movflags := range map[string]string{"index in front": "+faststart", "index at the end": "+write_colr"} {
		b := sample(t, "cut.mp4", film+" "+tone+h264+" -c:a aac -movflags "+movflags)
		for _, share := range []int{1, 2, 5, 20, 60, 95} {
			_, _, _, err := convert(t, b[:len(b)*share/100], options.Options{})
			if !errors.Is(err, ErrCutShort) && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %d%%: %v", name, share, err)
			}
		}
	}
}
