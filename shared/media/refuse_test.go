package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

func TestFilesThatCannotBeConverted(t *testing.T) {
	cut := func(name, args string) []byte {
		b := sample(t, name, args)
		return b[:len(b)/2]
	}
	av := film + " " + tone
	tests := map[string]struct {
		content []byte
		want    error
	}{
		"text":                    {[]byte("Dear diary, this is not a film.\nNot at all.\n"), ErrNotMedia},
		"long text":               {bytes.Repeat([]byte("All work and no play makes Jack a dull boy.\n"), 50_000), ErrNotMedia},
		"html":                    {[]byte("<!doctype html><html><body>404</body></html>"), ErrNotMedia},
		"one byte":                {[]byte("x"), ErrNotMedia},
		"empty":                   {nil, ErrNotMedia},
		"zeros":                   {make([]byte, 1<<20), ErrNotMedia},
		"a picture":               {sample(t, "a.png", "-f lavfi -i testsrc=duration=1:rate=1"), ErrPicture},
		"subtitles":               {[]byte("1\n00:00:01,000 --> 00:00:02,000\nHello\n"), ErrNotMedia},
		"no sound":                {sample(t, "silent.mp4", film+h264), ErrNoSound},
		"no sound, webm":          {sample(t, "silent.webm", film+" -c:v libvpx -deadline realtime"), ErrNoSound},
		"mp4, index at the end":   {cut("back.mp4", av+h264+" -c:a aac"), ErrDamaged},
		"mp4, index in front":     {cut("front.mp4", av+h264+" -c:a aac -movflags +faststart"), ErrCutShort},
		"mov, index in front":     {cut("front.mov", av+h264+" -c:a aac -movflags +faststart"), ErrCutShort},
		"mp4 in fragments, 1 s":   {cut("frag.mp4", av+h264+" -g 25 -c:a aac -movflags frag_keyframe+empty_moov"), ErrCutShort},
		"mkv":                     {cut("a.mkv", av+h264+" -c:a aac"), ErrCutShort},
		"webm":                    {cut("a.webm", av+" -c:v libvpx -deadline realtime -cpu-used 8 -c:a libvorbis"), ErrCutShort},
		"avi":                     {cut("a.avi", av+" -c:v mpeg4 -c:a libmp3lame"), ErrCutShort},
		"flv":                     {cut("a.flv", av+" -c:v flv -c:a libmp3lame"), ErrCutShort},
		"wav":                     {cut("a.wav", tone), ErrCutShort},
		"flac":                    {cut("a.flac", tone), ErrCutShort},
		"mp3":                     {cut("a.mp3", tone), ErrCutShort},
		"mp4, impossible table":   {impossible(sample(t, "back.mp4", av+h264+" -c:a aac")), ErrDamaged},
		"only the head of an mp4": {sample(t, "back.mp4", av+h264+" -c:a aac")[:200], ErrDamaged},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			info, m, _, err := convert(t, tt.content, options.Options{})
			if !errors.Is(err, tt.want) || !fail.Is(err, fail.Invalid) {
				t.Fatalf("error %v, want %v (%+v, %+v)", err, tt.want, info, m)
			}
			if fail.Detail(err) != tt.want.Error() {
				t.Errorf("detail %q", fail.Detail(err))
			}
		})
	}
}

// impossible makes the time tables of an mp4 (boxes stts of ISO/IEC 14496-12)
// claim so many entries that no memory would hold them.
func impossible(mp4 []byte) []byte {
	mp4 = bytes.Clone(mp4)
	for rest := mp4; ; {
		at := bytes.Index(rest, []byte("stts"))
		if at < 0 {
			return mp4
		}
		binary.BigEndian.PutUint32(rest[at+8:], 0x0FFFFFFF)
		rest = rest[at+12:]
	}
}

func TestRandomBytesAreRefused(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			b := make([]byte, 1000<<(seed%12))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			if info, m, _, err := convert(t, b, options.Options{}); !fail.Is(err, fail.Invalid) {
				t.Errorf("%d bytes: error %v (%+v, %+v)", len(b), err, info, m)
			}
		})
	}
}

func TestAFullDiskIsAPassingFault(t *testing.T) {
	in := local(t, sample(t, "a.wav", tone))
	info, err := tools(t).Probe(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	out := file(t, nil)
	full := limited(t, tools(t))
	_, err = save(full.Convert(t.Context(), in, Plan{info: info}, options.MP3, nil), out)
	if !fail.Is(err, fail.Unavailable) {
		t.Errorf("error %v, want Unavailable", err)
	}
}

func TestAProgramThatIsMissingOrKilledIsAPassingFault(t *testing.T) {
	in := local(t, sample(t, "a.wav", tone))
	tests := map[string]Tools{
		"missing": {FFprobe: t.TempDir() + "/ffprobe"},
		"killed":  {Bare: true, FFprobe: script(t, "kill -KILL $$")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := tt.Probe(t.Context(), in); !fail.Is(err, fail.Unavailable) {
				t.Errorf("error %v, want Unavailable", err)
			}
		})
	}
	t.Run("ends itself on bad input", func(t *testing.T) {
		crash := Tools{Bare: true, FFprobe: script(t, "kill -SEGV $$")}
		if _, err := crash.Probe(t.Context(), in); !errors.Is(err, ErrDamaged) {
			t.Errorf("error %v, want ErrDamaged", err)
		}
	})
}

func TestTempFilesHaveNoName(t *testing.T) {
	dir := t.TempDir()
	f, err := TempFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the folder: %v", left)
	}
	st, err := f.Stat()
	if err != nil || st.Sys().(*syscall.Stat_t).Nlink != 0 {
		t.Errorf("links: %v, %v", st, err)
	}
	if _, err := TempFile(dir + "/missing"); !fail.Is(err, fail.Unavailable) {
		t.Errorf("error %v, want Unavailable", err)
	}
}
