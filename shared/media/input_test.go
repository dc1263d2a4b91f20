package media

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// faulty is content that cannot be read from an offset on: wait, if not nil,
// is called first.
type faulty struct {
	io.ReadSeeker
	from int64
	err  error
	wait func()
}

func (f *faulty) Read(p []byte) (int, error) {
	at, _ := f.Seek(0, io.SeekCurrent)
	if left := f.from - at; left <= 0 {
		if f.wait != nil {
			f.wait()
		}
		return 0, f.err
	} else if int64(len(p)) > left {
		p = p[:left]
	}
	return f.ReadSeeker.Read(p)
}

func av(t *testing.T, name, args string) []byte {
	t.Helper()
	return sample(t, name, film+" "+tone+args)
}

func TestWhatIsStreamedAndWhatIsCopied(t *testing.T) {
	back := av(t, "back.mp4", h264+" -c:a aac")
	tests := map[string]struct {
		content  []byte
		streamed bool
	}{
		"mp4, index at the end":     {back, true},
		"mp4, index in front":       {av(t, "front.mp4", h264+" -c:a aac -movflags +faststart"), true},
		"mp4 in fragments":          {av(t, "frag.mp4", h264+" -c:a aac -movflags frag_keyframe+empty_moov"), true},
		"mp4, media in other files": {bytes.Replace(back, []byte("url \x00\x00\x00\x01"), []byte("url \x00\x00\x00\x00"), 1), false},
		"mov":                       {av(t, "a.mov", h264+" -c:a pcm_s16le"), true},
		"mkv":                       {av(t, "a.mkv", h264+" -c:a ac3"), true},
		"avi":                       {av(t, "a.avi", " -c:v mpeg4 -c:a libmp3lame"), true},
		"mpegts":                    {av(t, "a.ts", h264+" -c:a aac"), true},
		"m2ts":                      {av(t, "a.m2ts", h264+" -c:a ac3"), true},
		"mpeg":                      {av(t, "a.mpg", " -c:v mpeg2video -c:a mp2"), true},
		"flv":                       {av(t, "a.flv", " -c:v flv -c:a libmp3lame"), true},
		"wmv":                       {av(t, "a.wmv", " -c:v wmv2 -c:a wmav2"), true},
		"nut":                       {av(t, "a.nut", h264+" -c:a aac"), true},
		"wav":                       {sample(t, "a.wav", tone), true},
		"w64":                       {sample(t, "a.w64", tone), true},
		"flac":                      {sample(t, "a.flac", tone), true},
		"ogg":                       {sample(t, "a.ogg", tone), true},
		"mp3":                       {sample(t, "a.mp3", tone), true},
		"mp3 without tags":          {sample(t, "a.mp3", tone+" -id3v2_version 0"), true},
		"aac":                       {sample(t, "a.aac", tone), true},
		"ac3":                       {sample(t, "a.ac3", tone), true},
		"au":                        {sample(t, "a.au", tone), true},
		"aiff":                      {sample(t, "a.aiff", tone), true},
		"caf":                       {sample(t, "a.caf", tone), false},
		"wavpack":                   {sample(t, "a.wv", tone), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in, err := elsewhere(t, tt.content)
			if err != nil || in.Streamed() != tt.streamed {
				t.Fatalf("streamed %v, %v; want %v", err == nil && in.Streamed(), err, tt.streamed)
			}
			convert(t, tt.content, options.Options{}) // to compare
		})
	}
}

// TestAFaultOfTheStoreIsNoFaultOfTheFile: it must be tried again, wherever it
// comes, and never give half an MP3.
func TestAFaultOfTheStoreIsNoFaultOfTheFile(t *testing.T) {
	lost := errors.New("the connection was lost")
	for name, content := range map[string][]byte{
		"mp4, index at the end": av(t, "back.mp4", h264+" -c:a aac"),
		"mp4, index in front":   av(t, "front.mp4", h264+" -c:a aac -movflags +faststart"),
		"mp4 in fragments":      av(t, "frag.mp4", h264+" -c:a aac -movflags frag_keyframe+empty_moov"),
		"mkv":                   av(t, "a.mkv", h264+" -c:a ac3"),
		"wav":                   sample(t, "a.wav", tone),
		"several encoders":      wave(45*44100, 44100, 1),
		"caf":                   sample(t, "a.caf", tone),
	} {
		for name, how := range map[string]error{name: lost, name + ", too short": io.EOF} {
			for _, share := range []int64{0, 1, 50, 99} {
				size := int64(len(content))
				src := &faulty{ReadSeeker: bytes.NewReader(content), from: size * share / 100, err: how}
				err := convertAll(t.Context(), t, tools(t), src, size)
				if !fail.Is(err, fail.Unavailable) {
					t.Errorf("%s, fault at %d%%: %v, want Unavailable", name, share, err)
				}
			}
		}
	}
}

func convertAll(ctx context.Context, t *testing.T, tools Tools, src io.ReadSeeker, size int64) error {
	t.Helper()
	in, err := tools.Open(ctx, src, size, false)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := tools.Probe(ctx, in)
	if err != nil {
		return err
	}
	_, err = save(tools.Convert(ctx, in, Plan{info: info}, options.MP3, nil), file(t, nil))
	return err
}

func TestAnEndedContextEndsAStream(t *testing.T) {
	content := sample(t, "a.wav", tone)
	ctx, cancel := context.WithCancelCause(t.Context())
	src := &faulty{ReadSeeker: bytes.NewReader(content), from: int64(len(content)) * 9 / 10, err: context.Canceled}
	in, err := tools(t).Open(ctx, src, int64(len(content)), false)
	if err != nil {
		t.Fatal(err)
	}
	in.head, in.tail = 64<<10, 0
	info, err := tools(t).Probe(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	src.wait = func() { cancel(ErrTooLong); <-ctx.Done() }
	if _, err := save(tools(t).Convert(ctx, in, Plan{info: info}, options.MP3, nil), file(t, nil)); !errors.Is(err, ErrTooLong) {
		t.Errorf("error %v, want ErrTooLong", err)
	}
}

// TestAProgramThatReadsNothingEndsTheFeeding holds that nobody waits for it.
func TestAProgramThatReadsNothingEndsTheFeeding(t *testing.T) {
	content := bytes.Repeat(sample(t, "a.mkv", tone+" -c:a pcm_s16le"), 3)
	in, err := elsewhere(t, content)
	if err != nil {
		t.Fatal(err)
	}
	deaf := Tools{Bare: true, FFmpeg: script(t, "kill -SEGV $$")}
	_, err = save(deaf.Convert(t.Context(), in, Plan{info: Info{Audio: Stream{SampleRate: 44100, Channels: 1}}}, options.MP3, nil), file(t, nil))
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("error %v, want that of the program", err)
	}
}

func TestFragmentsThatEndEarlyAreSeenAsTheyPass(t *testing.T) {
	content := av(t, "frag.mp4", h264+" -g 25 -c:a aac -movflags frag_keyframe+empty_moov")
	for name, tt := range map[string]struct {
		content []byte
		cut     bool
	}{
		"whole":              {content, false},
		"half":               {content[:len(content)/2], true},
		"a byte short":       {content[:len(content)-1], true},
		"text appended":      {append(bytes.Clone(content), "\x01\x02\x03\x04\x01\x02\x03\x04 appended"...), false},
		"no boxes":           {[]byte(strings.Repeat("moof\x01", 100)), false},
		"a header in pieces": {content[:len(content)-1], true},
	} {
		var seen tally
		r := io.Reader(bytes.NewReader(tt.content))
		if name == "a header in pieces" {
			r = iotest.OneByteReader(r)
		}
		buf := make([]byte, 1000)
		for {
			n, err := r.Read(buf)
			seen.add(buf[:n])
			if err != nil {
				break
			}
		}
		if seen.end(); seen.cut != tt.cut {
			t.Errorf("%s: cut %v", name, seen.cut)
		}
	}
}

// TestProbeSeesTheEndOfALargeStream: how long it is, and the tags that are
// there. What is between head and tail takes no room.
func TestProbeSeesTheEndOfALargeStream(t *testing.T) {
	noise := "-f lavfi -i anoisesrc=duration=120:amplitude=0.5 -ac 2"
	mp3 := bytes.Clone(sample(t, "v1.mp3", noise+" -b:a 320k -id3v2_version 0 -write_xing 0"))
	mp3 = append(mp3, "TAGNoise"+strings.Repeat("\x00", 120)...) // ID3v1
	for name, content := range map[string][]byte{
		"mp3, tags at the end": mp3,
		"ogg":                  sample(t, "long.ogg", noise+" -q:a 9"),
		"mpegts":               sample(t, "long.ts", noise+" -c:a mp2 -b:a 384k"),
		"mpeg":                 sample(t, "long.mpg", noise+" -c:a mp2 -b:a 384k"),
		"wav":                  sample(t, "long.wav", noise),
	} {
		in, err := tools(t).Open(t.Context(), bytes.NewReader(content), int64(len(content)), false)
		if err != nil {
			t.Fatal(name, err)
		}
		in.head, in.tail = 1<<20, 256<<10
		want, err := tools(t).Probe(t.Context(), local(t, content))
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := tools(t).Probe(t.Context(), in)
		if err != nil || !reflect.DeepEqual(got, want) || !near(got.Duration, 2*time.Minute) {
			t.Errorf("%s: %+v, want %+v, %v", name, got, want, err)
		}
		if name == "mp3, tags at the end" && got.Tags.Title != "Noise" {
			t.Errorf("%s: tags %+v", name, got.Tags)
		}
		sketch, done, err := tools(t).sketch(in)
		if err != nil {
			t.Fatal(name, err)
		}
		if st, _ := sketch.file.Stat(); st.Size() != in.size || room(st) > in.head+in.tail+64<<10 {
			t.Errorf("%s: the sketch of %d bytes takes %d of room", name, in.size, room(st))
		}
		done()
	}
}

// room is how many bytes a file takes on the disk.
func room(st os.FileInfo) int64 { return st.Sys().(*syscall.Stat_t).Blocks * 512 }

func TestTheProgressOfAStreamOfUnknownLength(t *testing.T) {
	content := sample(t, "long.m4a", "-f lavfi -i sine=duration=300 -c:a aac -movflags empty_moov -frag_duration 1000000")
	in, err := elsewhere(t, content)
	if err != nil {
		t.Fatal(err)
	}
	info, err := tools(t).Probe(t.Context(), in)
	if err != nil || info.Duration != 0 {
		t.Fatalf("%+v, %v", info, err)
	}
	var seen []int
	if _, err := save(tools(t).Convert(t.Context(), in, Plan{info: info}, options.MP3, func(p int) { seen = append(seen, p) }), file(t, nil)); err != nil {
		t.Fatal(err)
	}
	if len(seen) < 2 || seen[len(seen)-1] < 90 {
		t.Errorf("progress %v: want several steps, up to the end", seen)
	}
}
