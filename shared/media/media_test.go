package media

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

func TestEveryContainerBecomesAnMP3(t *testing.T) {
	tests := map[string]struct {
		args   string
		noTags bool
	}{
		"front.mp4": {args: film + " " + tone + h264 + " -c:a aac -movflags +faststart" + tagged},
		"back.mp4":  {args: film + " " + tone + h264 + " -c:a aac" + tagged},
		"frag.mp4":  {args: film + " " + tone + h264 + " -c:a aac -movflags frag_keyframe+empty_moov" + tagged},
		"a.mov":     {args: film + " " + tone + h264 + " -c:a pcm_s16le" + tagged},
		"a.mkv":     {args: film + " " + tone + h264 + " -c:a ac3" + tagged},
		"a.webm":    {args: film + " " + tone + " -c:v libvpx -deadline realtime -cpu-used 8 -c:a libvorbis" + tagged},
		"live.webm": {args: film + " " + tone + " -c:v libvpx -deadline realtime -cpu-used 8 -c:a libvorbis -live 1" + tagged},
		"a.avi":     {args: film + " " + tone + " -c:v mpeg4 -c:a libmp3lame" + tagged, noTags: true}, // has no album
		"a.ts":      {args: film + " " + tone + h264 + " -c:a aac", noTags: true},
		"a.mpg":     {args: film + " " + tone + " -c:v mpeg2video -c:a mp2", noTags: true},
		"a.flv":     {args: film + " " + tone + " -c:v flv -c:a libmp3lame" + tagged},
		"a.wmv":     {args: film + " " + tone + " -c:v wmv2 -c:a wmav2", noTags: true},
		"a.m4a":     {args: tone + " -c:a aac" + tagged},
		"a.wav":     {args: tone + tagged},
		"a.flac":    {args: tone + tagged},
		"a.ogg":     {args: tone + tagged},
		"a.mp3":     {args: tone + tagged},
		"a.aac":     {args: tone, noTags: true},
		"a.aiff":    {args: tone, noTags: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			info, m, out, err := convert(t, sample(t, name, tt.args), options.Options{Bitrate: 192_000})
			if err != nil {
				t.Fatal(err)
			}
			j, duration := judge(t, out)
			if !near(duration, 4*time.Second) || !near(m.Duration, 4*time.Second) {
				t.Errorf("duration: ffprobe %v, ours %v; want 4s (%+v)", duration, m.Duration, info)
			}
			if s := j.Streams[0]; s.Codec != "mp3" || s.Rate != "44100" || s.Channels != 1 || s.Bitrate != "192000" {
				t.Errorf("stream = %+v", s)
			}
			if m.SampleRate != 44100 || m.Channels != 1 {
				t.Errorf("result = %+v", m)
			}
			if st, _ := out.Stat(); st.Size() != m.Bytes {
				t.Errorf("bytes = %d, file has %d", m.Bytes, st.Size())
			}
			delete(j.Format.Tags, "encoder")
			if !tt.noTags {
				want := map[string]string{"title": "Tönung_東京", "artist": "Ärtist", "album": "Album_One", "date": "2021"}
				for k, v := range want {
					if j.Format.Tags[k] != v {
						t.Errorf("tag %s = %q, want %q", k, j.Format.Tags[k], v)
					}
					delete(j.Format.Tags, k)
				}
			}
			if _, ok := j.Format.Tags["comment"]; ok {
				t.Errorf("tags not dropped: %v", j.Format.Tags)
			}
		})
	}
}

func TestSampleRatesChannelsAndBitRates(t *testing.T) {
	tests := map[string]struct {
		name, args           string
		want                 int // bit/s
		rate, channels, bits int
	}{
		"stereo at 320k":      {"a.wav", tone + " -ac 2", 320_000, 44100, 2, 320_000},
		"48 kHz":              {"a.wav", tone + " -ar 48000", 0, 48000, 1, 192_000},
		"96 kHz":              {"a.wav", tone + " -ar 96000", 0, 48000, 1, 192_000},
		"88.2 kHz":            {"a.wav", tone + " -ar 88200", 0, 44100, 1, 192_000},
		"22.05 kHz":           {"a.wav", tone + " -ar 22050", 0, 22050, 1, 160_000},
		"16 kHz":              {"a.wav", tone + " -ar 16000", 128_000, 16000, 1, 128_000},
		"8 kHz":               {"a.wav", tone + " -ar 8000", 0, 8000, 1, 64_000},
		"12 kHz":              {"a.wav", tone + " -ar 12000 -ac 2", 0, 12000, 2, 64_000},
		"6 kHz":               {"a.wav", tone + " -ar 6000", 0, 8000, 1, 64_000},
		"5.1 aac":             {"a.mp4", tone + " -af pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0 -c:a aac", 0, 44100, 2, 192_000},
		"7.1 flac":            {"a.flac", tone + " -af pan=7.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0|SL=c0|SR=c0", 0, 44100, 2, 192_000},
		"12 channels, no map": {"a.wav", "-f s16le -ar 44100 -ac 12 -t 4 -i /dev/zero", 0, 44100, 2, 192_000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, m, out, err := convert(t, sample(t, tt.name, tt.args), options.Options{Bitrate: tt.want})
			if err != nil {
				t.Fatal(err)
			}
			j, duration := judge(t, out)
			s := j.Streams[0]
			if s.Rate != strconv.Itoa(tt.rate) || s.Channels != tt.channels || s.Bitrate != strconv.Itoa(tt.bits) {
				t.Errorf("ffprobe: %+v, want %d Hz, %d channels, %d bit/s", s, tt.rate, tt.channels, tt.bits)
			}
			if m.SampleRate != tt.rate || m.Channels != tt.channels || !near(m.Duration, 4*time.Second) {
				t.Errorf("result = %+v", m)
			}
			if (duration - m.Duration).Abs() > 200*time.Millisecond { // at 8 kHz a frame is 72 ms
				t.Errorf("duration: ffprobe %v, ours %v", duration, m.Duration)
			}
		})
	}
}

func TestTheDefaultAudioStreamIsChosen(t *testing.T) {
	two := tone + " -f lavfi -i sine=frequency=880:duration=2 -map 0:a -map 1:a -c:a aac "
	tests := map[string]struct {
		disposition string
		want        time.Duration
	}{
		"second": {"-disposition:a:0 0 -disposition:a:1 default", 2 * time.Second},
		"first":  {"-disposition:a:0 default -disposition:a:1 0", 4 * time.Second},
		"none":   {"-disposition:a:0 0 -disposition:a:1 0", 4 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, m, _, err := convert(t, sample(t, "two.mkv", two+"-default_mode passthrough "+tt.disposition), options.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !near(m.Duration, tt.want) {
				t.Errorf("duration %v, want %v", m.Duration, tt.want)
			}
		})
	}
}

func TestAVideoLongerThanItsSoundIsFine(t *testing.T) {
	short := film + " -f lavfi -i sine=duration=1.5 -c:v libx264 -preset ultrafast -c:a libmp3lame"
	for _, name := range []string{"a.mp4", "a.mkv", "a.flv", "a.avi", "a.ts"} {
		t.Run(name, func(t *testing.T) {
			_, m, _, err := convert(t, sample(t, name, short), options.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !near(m.Duration, 1500*time.Millisecond) {
				t.Errorf("duration %v, want 1.5s", m.Duration)
			}
		})
	}
}

func TestProgressGrows(t *testing.T) {
	in := local(t, sample(t, "long.wav", "-f lavfi -i sine=duration=600"))
	info, err := tools(t).Probe(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var seen []int
	if _, err := save(tools(t).Convert(t.Context(), in, Plan{info: info}, options.MP3, func(p int) { seen = append(seen, p) }), file(t, nil)); err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, p := range seen {
		if p <= last || p > 99 {
			t.Fatalf("progress %v", seen)
		}
		last = p
	}
	if len(seen) < 3 || last < 90 {
		t.Errorf("progress %v: want several steps, up to the end", seen)
	}
}

func TestProgressReadsLinesThatComeInPieces(t *testing.T) {
	var seen []int
	m := &meter{total: 10 * time.Second, last: -1, report: func(p int) { seen = append(seen, p) }}
	for _, piece := range []string{"out_ti", "me_us=1000000\nspeed=1x\nout_time_us=", "5000000\nout_time_us=N/A\nout_time_us=4000000\n", "out_time_us=11000000\n"} {
		if _, err := m.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int{10, 50, 99}; len(seen) != 3 || seen[0] != want[0] || seen[1] != want[1] || seen[2] != want[2] {
		t.Errorf("progress %v, want %v", seen, want)
	}
}

func TestFindNamesTheCommandToInstall(t *testing.T) {
	_, err := Find("no-such-ffmpeg", "")
	if !fail.Is(err, fail.Unavailable) || !strings.Contains(err.Error(), "install") || !strings.Contains(err.Error(), "no-such-ffmpeg") {
		t.Errorf("error %v", err)
	}
}

// TestFindDoesWithoutPATH looks for programs where there is no PATH, and where
// there is an empty one, which is somebody's wish.
func TestFindDoesWithoutPATH(t *testing.T) {
	t.Setenv("PATH", "") // puts it back, too
	if _, err := Find("sh", "sh"); !fail.Is(err, fail.Unavailable) {
		t.Errorf("in an empty PATH: %v", err)
	}
	if err := os.Unsetenv("PATH"); err != nil {
		t.Fatal(err)
	}
	if found, err := Find("sh", "sh"); err != nil || filepath.Base(found.FFmpeg) != "sh" || !filepath.IsAbs(found.FFprobe) {
		t.Errorf("without PATH: %+v, %v", found, err)
	}
	if _, err := Find("no-such-ffmpeg", ""); !fail.Is(err, fail.Unavailable) {
		t.Errorf("what is nowhere: %v", err)
	}
}

func TestMessagesKeepTheBeginningAndTheEnd(t *testing.T) {
	var m messages
	_, _ = m.Write([]byte("[error] first\n"))
	for range 1000 {
		_, _ = m.Write(bytes.Repeat([]byte("x"), 100))
	}
	_, _ = m.Write([]byte("\n[fatal] last"))
	if !m.has("first") || !m.has("last") || m.errors != 2 || len(m.String()) > keptMessages {
		t.Errorf("errors %d, %d bytes", m.errors, len(m.String()))
	}
}

func TestAnEndedContextGivesItsCause(t *testing.T) {
	wav := local(t, sample(t, "a.wav", tone))
	ctx, cancel := context.WithDeadlineCause(t.Context(), time.Now(), ErrTooLong)
	defer cancel()
	if _, err := tools(t).Probe(ctx, wav); !fail.Is(err, fail.Invalid) || fail.Detail(err) != ErrTooLong.Error() {
		t.Errorf("error %v, want ErrTooLong", err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := tools(t).Probe(gone, wav); !fail.Is(err, fail.Unavailable) {
		t.Errorf("error %v, want Unavailable", err)
	}
}
