package media

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// begins2s is a film of 5 s whose sound begins after 2 s, with a chapter in the
// middle of it.
const begins2s = "-f lavfi -i testsrc=size=160x120:rate=10:duration=5 -itsoffset 2 -f lavfi -i sine=frequency=440:sample_rate=44100:duration=3" + h264

// TestSoundThatBeginsLater: start and end are places in the video.
func TestSoundThatBeginsLater(t *testing.T) {
	for name, codec := range map[string]string{"a.mkv": " -c:a flac", "a.mp4": " -c:a aac", "b.mkv": " -c:a libmp3lame"} {
		content := sample(t, "later-"+name, begins2s+codec)
		for _, f := range options.Formats() {
			for part, want := range map[[2]time.Duration]time.Duration{
				{0, 0}: 3 * time.Second, {3 * time.Second, 0}: 2 * time.Second, {time.Second, 4 * time.Second}: 2 * time.Second, {2500 * time.Millisecond, 3 * time.Second}: 500 * time.Millisecond,
			} {
				opt := options.Options{Formats: []options.Format{f}, Start: options.Time(part[0]), End: options.Time(part[1])}
				_, m, _, err := convertInput(t, local(t, content), opt)
				if err != nil || (m.Duration-want).Abs() > 80*time.Millisecond {
					t.Errorf("%s to %s, %v: %v, %v; want %v", name, f, part, m.Duration, err, want)
				}
			}
		}
	}
}

// layoutsChange is 4 s of six loud channels, then 4 s of two quiet ones, as a
// broadcast has them.
func layoutsChange(t *testing.T) []byte {
	t.Helper()
	const tone = "-f lavfi -i aevalsrc=%s:s=48000:d=4:c=%s -c:a ac3 -b:a 384k -f ac3"
	loud := strings.TrimSuffix(strings.Repeat("0.2*sin(2*PI*440*t)|", 6), "|")
	quiet := "0.002*sin(2*PI*440*t)|0.002*sin(2*PI*440*t)"
	return append(bytes.Clone(sample(t, "six.ac3", fmt.Sprintf(tone, loud, "5.1"))), sample(t, "two.ac3", fmt.Sprintf(tone, quiet, "stereo"))...)
}

func TestAPartOfSoundWhoseChannelsChange(t *testing.T) {
	content := layoutsChange(t)
	for _, f := range options.Formats() {
		opt := options.Options{Formats: []options.Format{f}, Start: options.Time(2 * time.Second), End: options.Time(6 * time.Second)}
		_, m, _, err := convertInput(t, local(t, content), opt)
		if err != nil || (m.Duration-4*time.Second).Abs() > 50*time.Millisecond {
			t.Errorf("%s: %v, %v; want 4s", f, m.Duration, err)
		}
	}
	_, _, out, err := convertInput(t, local(t, content), options.Options{Formats: []options.Format{options.FLAC}, Normalize: -23})
	if err != nil {
		t.Fatal(err)
	}
	if lufs, peak := loudnessOf(t, out); math.Abs(lufs+23) > 0.5 || peak > -1 {
		t.Errorf("%.1f LUFS, %.1f dBTP", lufs, peak)
	}
}

func TestFLACWhoseLengthIsNotKnownOrWrong(t *testing.T) {
	flac := bytes.Clone(sample(t, "known.flac", tone))
	copy(flac[21:26], []byte{flac[21] & 0xF0, 0, 0, 0, 0}) // the count of samples (RFC 9639, 8.2)
	for name, content := range map[string][]byte{
		"no count": flac, "in Ogg": sample(t, "flac.ogg", tone+" -c:a flac"), "in Matroska": sample(t, "flac.mkv", tone+" -c:a flac"),
	} {
		_, m, _, err := convertInput(t, local(t, content), options.Options{Formats: []options.Format{options.FLAC}})
		if err != nil || m.Duration != 4*time.Second {
			t.Errorf("%s: %v, %v", name, m.Duration, err)
		}
	}
}

// TestWhatPeopleWriteInTags comes back as it was, in every format; or the
// result is taken all the same.
func TestWhatPeopleWriteInTags(t *testing.T) {
	content := wave(44100, 44100, 1)
	for _, f := range options.Formats() {
		for _, text := range []string{`ends in \`, `\`, "[CHAPTER]", "-i x", "a=b;c#d", "'quoted' \"too\"", strings.Repeat("x", 200), "  ", "東京 🎬"} {
			opt := options.Options{Formats: []options.Format{f}, Title: strings.TrimSpace(text), Artist: "somebody", Comment: strings.Repeat("c", 1000)}
			if _, _, _, err := convertInput(t, local(t, content), opt); err != nil {
				t.Errorf("%s, %q: %v", f, text, err)
			}
		}
	}
	in := local(t, content)
	for _, genre := range []string{"80s", "(17)Rock", "2 Step"} { // which readers of ID3 take for numbers
		p := plan(t, in, options.Options{Genre: genre})
		out := file(t, nil)
		m, err := save(tools(t).Convert(t.Context(), in, p, options.MP3, nil), out)
		if err != nil {
			t.Fatal(err)
		}
		if _, odd, err := tools(t).Verify(t.Context(), Local(out), p, m); err != nil || len(odd) > 1 {
			t.Errorf("%s: %q, %v", genre, odd, err)
		}
	}
}

func TestChaptersThatNoFormatKeeps(t *testing.T) {
	long := strings.Repeat("ä", 200)
	p := Plan{info: Info{Duration: 10 * time.Second, Audio: Stream{Codec: "flac", SampleRate: 44100, Channels: 1}}}
	kept := p.within([]Chapter{
		{5 * time.Second, 20 * time.Second, long}, {0, 7 * time.Second, "overlaps"}, {5 * time.Second, 6 * time.Second, "the same start"},
		{10 * time.Second, 12 * time.Second, "behind the end"}, {3 * time.Second, 3*time.Second + 1, "nothing"},
	})
	want := []Chapter{{0, 3 * time.Second, "overlaps"}, {5 * time.Second, 6 * time.Second, "the same start"}}
	if fmt.Sprint(kept) != fmt.Sprint(want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
	content := wave(10*44100, 44100, 1)
	for _, f := range options.Formats() {
		in := local(t, content)
		p := plan(t, in, options.Options{Formats: []options.Format{f}})
		p.chapters = []Chapter{{0, 4 * time.Second, long}, {4 * time.Second, 10 * time.Second, `ends in \`}}
		out := file(t, nil)
		m, err := save(tools(t).Convert(t.Context(), in, p, f, nil), out)
		if err != nil {
			t.Fatal(err)
		}
		if _, odd, err := tools(t).Verify(t.Context(), Local(out), p, m); err != nil || len(odd) > 0 {
			t.Errorf("%s: %q, %v", f, odd, err)
		}
	}
}

func TestAPictureThatCannotBeDecodedIsLeftOut(t *testing.T) {
	mp3 := sample(t, "cover.mp3", "-f lavfi -i sine=d=2 -f lavfi -i color=red:size=64x48:d=1 -map 0 -map 1 -frames:v 1 -c:v png -disposition:v attached_pic")
	at := bytes.Index(mp3, []byte("IDAT"))
	if at < 0 {
		t.Fatal("no PNG")
	}
	broken := bytes.Clone(mp3)
	length := int(broken[at-4])<<24 | int(broken[at-3])<<16 | int(broken[at-2])<<8 | int(broken[at-1])
	copy(broken[at+4:at+4+length], make([]byte, length))
	sum := crc32.ChecksumIEEE(broken[at : at+4+length])
	copy(broken[at+4+length:], []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	for _, f := range options.Formats() {
		if _, _, _, err := convertInput(t, local(t, broken), options.Options{Formats: []options.Format{f}, Bitrate: 64_000}); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}
