package media

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// shown is what a plain ffprobe says of a result in any format.
type shown struct {
	Streams []struct {
		Kind     string            `json:"codec_type"`
		Codec    string            `json:"codec_name"`
		Rate     string            `json:"sample_rate"`
		Channels int               `json:"channels"`
		Bitrate  string            `json:"bit_rate"`
		Width    int               `json:"width"`
		Height   int               `json:"height"`
		Tags     map[string]string `json:"tags"`
	} `json:"streams"`
	Format struct {
		Name    string            `json:"format_name"`
		Bitrate string            `json:"bit_rate"`
		Tags    map[string]string `json:"tags"`
	} `json:"format"`
	Chapters []struct {
		Start string            `json:"start_time"`
		End   string            `json:"end_time"`
		Tags  map[string]string `json:"tags"`
	} `json:"chapters"`
}

func show(t *testing.T, f *os.File) (s shown) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_chapters", "/dev/fd/3")
	cmd.ExtraFiles = []*os.File{f}
	b, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		t.Fatalf("ffprobe: %v\n%s", err, b)
	}
	return s
}

// filmWithAll is a film with two tracks, a title, chapters and no cover.
func filmWithAll(t *testing.T) []byte {
	t.Helper()
	chapters := file(t, []byte(";FFMETADATA1\ntitle=Whole; film = 1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2500\ntitle=First #1\n"+
		"[CHAPTER]\nTIMEBASE=1/1000\nSTART=2500\nEND=6000\ntitle=Zweites Kapitel\n"))
	out := file(t, nil)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields("-v error -f ffmetadata -i /dev/fd/3 -f lavfi -i testsrc=size=320x240:rate=10:duration=6"+
		" -f lavfi -i sine=frequency=440:sample_rate=48000:duration=6 -f lavfi -i sine=frequency=1000:sample_rate=44100:duration=6"+
		" -map 1 -map 2 -map 3 -map_metadata 0 -map_chapters 0 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a flac"+
		" -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger -f matroska -y /dev/fd/4")...)
	cmd.ExtraFiles = []*os.File{chapters, out}
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	return whole(t, out)
}

func TestEveryFormatHasSoundTagsChaptersAndCover(t *testing.T) {
	content := filmWithAll(t)
	for _, f := range options.Formats() {
		for _, length := range []string{"whole", "part"} {
			t.Run(string(f)+" "+length, func(t *testing.T) {
				opt := options.Options{
					Formats: []options.Format{f}, Channels: options.Stereo, Artist: `A "B"; C=D\E #`, Album: "Ä", Date: "2026-11-25", Genre: "Talk", Comment: "none",
					Cover: "1.5", SampleRate: 48000,
				}
				want := 6 * time.Second
				if length == "part" {
					opt.Start, opt.End = options.Time(1250*time.Millisecond), options.Time(4*time.Second)
					want = 2750 * time.Millisecond
				}
				in := local(t, content)
				_, m, out, err := convertInput(t, in, opt)
				if err != nil {
					t.Fatal(err)
				}
				s := show(t, out)
				if a := s.Streams[0]; a.Codec != m.Codec || a.Channels != 2 || a.Rate != "48000" || (m.Duration-want).Abs() > 8*time.Millisecond {
					t.Errorf("%+v, %+v", m, a)
				}
				tags := s.Format.Tags
				if len(tags) == 0 || tags["title"]+tags["TITLE"] == "" {
					tags = s.Streams[0].Tags
				}
				lower := map[string]string{}
				for k, v := range tags {
					lower[strings.ToLower(k)] = v
				}
				for k, v := range map[string]string{"title": "Whole; film = 1", "artist": opt.Artist, "album": "Ä", "date": opt.Date, "genre": "Talk", "comment": "none"} {
					if lower[k] != v {
						t.Errorf("%s is %q, want %q", k, lower[k], v)
					}
				}
				if chaptered(f) {
					wantChapters(t, s, length == "part")
				}
				if last := s.Streams[len(s.Streams)-1]; f != options.WAV && (last.Kind != "video" || last.Width != 320 || last.Height != 240) {
					t.Errorf("no cover: %+v", s.Streams)
				}
			})
		}
	}
}

func wantChapters(t *testing.T, s shown, part bool) {
	t.Helper()
	ends := []string{"0.000000", "2.500000", "6.000000"}
	if part {
		ends = []string{"0.000000", "1.250000", "2.750000"}
	}
	if len(s.Chapters) != 2 || s.Chapters[0].Tags["title"] != "First #1" || s.Chapters[1].Tags["title"] != "Zweites Kapitel" {
		t.Fatalf("chapters %+v", s.Chapters)
	}
	for i, c := range s.Chapters {
		start, _ := strconv.ParseFloat(c.Start, 64)
		want, _ := strconv.ParseFloat(ends[i], 64)
		if math.Abs(start-want) > 0.001 {
			t.Errorf("chapter %d begins at %s, want %s", i, c.Start, ends[i])
		}
	}
}

// TestAPartIsCutToTheSample compares with the samples of the source: WAV and
// FLAC keep every one of them.
func TestAPartIsCutToTheSample(t *testing.T) {
	const rate = 44100
	content := wave(30*rate, rate, 2)
	for _, f := range []options.Format{options.WAV, options.FLAC} {
		for _, tt := range []struct{ start, end int }{{0, 1000}, {1, 2}, {999, 29_999}, {12_345, 23_456}, {20_000, 0}} { // ms
			t.Run(fmt.Sprintf("%s %d-%d", f, tt.start, tt.end), func(t *testing.T) {
				opt := options.Options{Formats: []options.Format{f}, Start: options.Time(tt.start) * options.Time(time.Millisecond), End: options.Time(tt.end) * options.Time(time.Millisecond)}
				_, _, out, err := convert(t, content, opt)
				if err != nil {
					t.Fatal(err)
				}
				cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", "/dev/fd/3", "-f", "s16le", "pipe:1")
				cmd.ExtraFiles = []*os.File{out}
				got, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				at := func(ms int) int { return 44 + 4*((ms*rate+500)/1000) }
				end := at(tt.end)
				if tt.end == 0 {
					end = len(content)
				}
				if want := content[at(tt.start):end]; !bytes.Equal(got, want) {
					t.Errorf("%d bytes of samples, want %d; or others", len(got), len(want))
				}
			})
		}
	}
}

func TestAPartOfALongSoundByManyEncoders(t *testing.T) {
	const rate = 44100
	content := wave(90*rate, rate, 1)
	_, m, out, err := convert(t, content, options.Options{Start: options.Time(10_500 * time.Millisecond), End: options.Time(75*time.Second + time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	want := (75_001*rate+500)/1000 - 10_500*rate/1000
	if got := samples(t, out); len(got) != want || m.Duration.Round(time.Microsecond) != (time.Duration(want)*time.Second/rate).Round(time.Microsecond) {
		t.Errorf("%d samples, %v; want %d", len(got), m.Duration, want)
	}
}

func TestATrackIsChosen(t *testing.T) {
	content := filmWithAll(t)
	tests := map[options.Track]int{"": 48000, "0": 48000, "1": 44100, "eng": 48000, "en": 48000, "de": 44100, "deu": 44100}
	for track, rate := range tests {
		t.Run("track "+string(track), func(t *testing.T) {
			_, m, _, err := convertInput(t, local(t, content), options.Options{Track: track})
			if err != nil || m.SampleRate != rate {
				t.Errorf("%+v, %v; want %d Hz", m, err, rate)
			}
		})
	}
	for _, track := range []options.Track{"2", "fr"} {
		_, _, _, err := convertInput(t, local(t, content), options.Options{Track: track})
		if !fail.Is(err, fail.Invalid) || !strings.Contains(fail.Detail(err), "0 (eng), 1 (ger)") {
			t.Errorf("track %s: %v", track, err)
		}
	}
}

func TestWishesThatAFileCannotFulfil(t *testing.T) {
	tests := map[string]struct {
		content []byte
		opt     options.Options
		want    string
	}{
		"start behind the end":   {wave(44100, 44100, 1), options.Options{Start: options.Time(2 * time.Second)}, "It ends at 1s."},
		"frame of a sound":       {wave(44100, 44100, 1), options.Options{Cover: "0"}, "no moving pictures"},
		"frame behind the end":   {filmWithAll(t), options.Options{Cover: "100"}, "no picture at 1m40s"},
		"language without a tag": {wave(44100, 44100, 1), options.Options{Track: "en"}, "the file has 0."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, _, err := convertInput(t, local(t, tt.content), tt.opt)
			if !fail.Is(err, fail.Invalid) || !strings.Contains(fail.Detail(err), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// plan is what is made of an input.
func plan(t *testing.T, in *Input, opt options.Options) Plan {
	t.Helper()
	info, err := tools(t).Probe(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	p, err := tools(t).Prepare(t.Context(), in, info, opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestQualityVariesTheBitrate(t *testing.T) {
	content := wave(45*44100, 44100, 2)
	for _, f := range []options.Format{options.MP3, options.Ogg} {
		last := int64(math.MaxInt64)
		for _, q := range []options.Quality{"v0", "v4", "v9"} {
			_, m, out, err := convert(t, content, options.Options{Formats: []options.Format{f}, Quality: q})
			if err != nil {
				t.Fatal(err)
			}
			if got := samples(t, out); f == options.MP3 && len(got) != 2*45*44100 {
				t.Errorf("%s %s: %d samples", f, q, len(got))
			}
			if m.Bytes >= last*9/10 {
				t.Errorf("%s %s: %d bytes, the better one %d", f, q, m.Bytes, last)
			}
			last = m.Bytes
		}
	}
}

// TestEveryBitrateAndRate tries what the encoders have to be spared.
func TestEveryBitrateAndRate(t *testing.T) {
	content := wave(2*48000, 48000, 2)
	for _, f := range []options.Format{options.MP3, options.M4A, options.Opus, options.Ogg} {
		for _, rate := range f.SampleRates() {
			for _, bitrate := range []int{options.MinBitrate, options.MaxBitrate} {
				for _, channels := range []options.Channels{options.Mono, options.Stereo} {
					opt := options.Options{Formats: []options.Format{f}, Bitrate: bitrate, SampleRate: rate, Channels: channels}
					if _, _, _, err := convertInput(t, local(t, content), opt); err != nil {
						t.Errorf("%s %d Hz %d bit/s %s: %v", f, rate, bitrate, channels, err)
					}
				}
			}
		}
	}
}
