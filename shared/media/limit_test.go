package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// TestSoundLongerThanIsAllowedIsRefused: what says so at once, what says less
// than it has, and what has no timestamps that could be trusted.
func TestSoundLongerThanIsAllowedIsRefused(t *testing.T) {
	minute := "-f lavfi -i sine=duration=60 -c:a libmp3lame"
	fragments := sample(t, "long.m4a", minute+" -c:a aac -movflags empty_moov -frag_duration 1000000")
	for name, tt := range map[string]struct {
		content []byte
		open    func(*testing.T, []byte) *Input
		probed  bool // refused by Probe
	}{
		"says so":                  {sample(t, "long.mp3", minute), local, true},
		"says little":              {saysOneSecond(t, sample(t, "long.mkv", minute)), local, false},
		"says little, one instant": {saysOneSecond(t, sample(t, "instant.mkv", minute+" -bsf:a setts=ts=0")), local, false},
		"says nothing":             {fragments, streamed, false},
	} {
		t.Run(name, func(t *testing.T) {
			bounded := tools(t)
			bounded.MaxDuration = 30 * time.Second
			in := tt.open(t, tt.content)
			info, err := bounded.Probe(t.Context(), in)
			if (err != nil) != tt.probed {
				t.Fatalf("probed %+v, %v", info, err)
			}
			// By one ffmpeg or several, and while its loudness is measured.
			for _, opt := range []options.Options{{}, {Formats: []options.Format{options.FLAC}}, {Normalize: -16}} {
				if !tt.probed {
					var p Plan
					if p, err = bounded.Prepare(t.Context(), in, info, opt); err == nil {
						_, err = save(bounded.Convert(t.Context(), in, p, opt.Outputs()[0], nil), file(t, nil))
					}
				}
				if !errors.Is(err, ErrDuration) || fail.Detail(err) != "The sound is longer than 30s, which is the most for one file." {
					t.Errorf("%v: error %v", opt, err)
				}
			}
			bounded.MaxDuration = 62 * time.Second
			if info, err = bounded.Probe(t.Context(), in); err == nil {
				_, err = save(bounded.Convert(t.Context(), in, Plan{info: info}, options.MP3, nil), file(t, nil))
			}
			if err != nil {
				t.Errorf("within the limit: %v", err)
			}
		})
	}
}

func streamed(t *testing.T, content []byte) *Input {
	t.Helper()
	in, err := elsewhere(t, content)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// saysOneSecond changes Duration (RFC 9559, 5.1.2.10) of a Matroska file.
func saysOneSecond(t *testing.T, mkv []byte) []byte {
	t.Helper()
	at := bytes.Index(mkv, []byte("\x44\x89\x88"))
	if at < 0 {
		t.Fatal("no duration")
	}
	mkv = bytes.Clone(mkv)
	binary.BigEndian.PutUint64(mkv[at+3:], math.Float64bits(1000))
	return mkv
}

func TestALimitIsToldInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		12 * time.Hour: "12h", 90 * time.Minute: "1h30m", 30 * time.Second: "30s", time.Minute: "1m", 3690 * time.Second: "1h1m30s", 10 * time.Minute: "10m",
	} {
		if got := fail.Detail(tooLong(d)); got != "The sound is longer than "+want+", which is the most for one file." {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestAFileOfTooManyStreamsIsRefused(t *testing.T) {
	maps := ""
	for range 255 {
		maps += " -map 0"
	}
	tone := "-f lavfi -i sine=duration=0.2:sample_rate=8000"
	for _, name := range []string{"a.mkv", "a.mov"} {
		most, more := sample(t, name, tone+maps+" -map 0 -c:a pcm_s16le"), sample(t, name, tone+maps+" -map 0 -map 0 -c:a pcm_s16le")
		if _, err := tools(t).Probe(t.Context(), local(t, most)); err != nil {
			t.Errorf("%s of 256 streams: %v", name, err)
		}
		if _, _, _, err := convert(t, more, options.Options{}); !errors.Is(err, ErrStreams) {
			t.Errorf("%s of 257 streams: %v", name, err)
		}
	}
}

func TestASampleRateThatNoSoundHasIsRefused(t *testing.T) {
	for rate, want := range map[int]error{maxSampleRate: nil, maxSampleRate + 1: ErrDamaged, 1_074_607_120: ErrDamaged} {
		if _, m, _, err := convert(t, wave(1_000_000, rate, 1), options.Options{}); !errors.Is(err, want) || want == nil && m.SampleRate != 48000 {
			t.Errorf("%d Hz: %+v, %v, want %v", rate, m, err, want)
		}
	}
}

func TestAnOutputLargerThanIsAllowedIsRefused(t *testing.T) {
	for longest, want := range map[time.Duration]int64{0: 16 << 30, 12 * time.Hour: 16 << 30, time.Hour: 64<<20 + 3600<<19} {
		if got := (Tools{MaxDuration: longest}).fileSize(); got != want {
			t.Errorf("%v: %d bytes, want %d", longest, got, want)
		}
	}
	half := sample(t, "half.m4a", "-f lavfi -i sine=duration=30 -c:a aac") // 240 kB as an MP3 of 64 kbit/s
	for _, f := range []options.Format{options.MP3, options.M4A, options.WAV} {
		for most, want := range map[int64]error{64 << 10: ErrTooLarge, 8 << 20: nil} {
			tools, opt := tools(t), options.Options{Formats: []options.Format{f}, Bitrate: 64_000}
			if f == options.WAV {
				opt.Bitrate = 0
			}
			tools.MaxResult = most
			in := local(t, half)
			info, err := tools.Probe(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			p, err := tools.Prepare(t.Context(), in, info, opt)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := save(tools.Convert(t.Context(), in, p, f, nil), file(t, nil)); !errors.Is(err, want) {
				t.Errorf("%s of at most %d bytes: %v, want %v", f, most, err, want)
			}
		}
	}
	endless := Tools{Bare: true, FFmpeg: script(t, "kill -XFSZ $$")}
	in, info := local(t, nil), Info{Duration: time.Second, Audio: Stream{SampleRate: 44100, Channels: 1}}
	if _, err := save(endless.Convert(t.Context(), in, Plan{info: info}, options.MP3, nil), file(t, nil)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}
