package media

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

func tools(t *testing.T) Tools {
	t.Helper()
	found, err := Find("", "")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The inputs that ffmpeg makes for tests: a film, tones, tags.
const (
	film   = "-f lavfi -i testsrc=size=160x120:rate=25:duration=4"
	tone   = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=4"
	h264   = " -pix_fmt yuv420p -c:v libx264 -preset ultrafast"
	tagged = " -metadata title=Tönung_東京 -metadata artist=Ärtist -metadata album=Album_One -metadata date=2021 -metadata comment=secret"
)

var (
	madeMu sync.Mutex
	made   = map[string][]byte{}
)

// sample returns the bytes of a file with the extension of name that ffmpeg
// makes from the arguments; made once for the whole run.
func sample(t *testing.T, name, args string) []byte {
	t.Helper()
	madeMu.Lock()
	defer madeMu.Unlock()
	key := name + " " + args
	if b, ok := made[key]; ok {
		return b
	}
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append(strings.Fields("-hide_banner -loglevel error -nostdin "+args), path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", name, err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	made[key] = b
	return b
}

// file gives content as an unlinked file whose offset is at its end.
func file(t *testing.T, content []byte) *os.File {
	t.Helper()
	f, err := TempFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	return f
}

func local(t *testing.T, content []byte) *Input {
	t.Helper()
	return Local(file(t, content))
}

// elsewhere opens content as that of a store. Probe sees no more than parts of
// it, as of a large one.
func elsewhere(t *testing.T, content []byte) (*Input, error) {
	t.Helper()
	in, err := tools(t).Open(t.Context(), bytes.NewReader(content), int64(len(content)), false)
	if err == nil {
		in.head, in.tail = max(in.size/2, 64<<10), in.size/8
		t.Cleanup(func() { _ = in.Close() })
	}
	return in, err
}

// convert probes and converts a file, and returns what became of it. It does
// the same with content that is elsewhere, and fails the test if anything
// else came of that.
func convert(t *testing.T, content []byte, opt options.Options) (Info, Result, *os.File, error) {
	t.Helper()
	info, m, out, err := convertInput(t, local(t, content), opt)
	in, err2 := elsewhere(t, content)
	if err2 != nil {
		if verdictOf(err) != verdictOf(err2) {
			t.Errorf("open elsewhere: %v, the file: %v", err2, err)
		}
		return info, m, out, err
	}
	info2, m2, out2, err2 := convertInput(t, in, opt)
	switch {
	case verdictOf(err) != verdictOf(err2):
		t.Errorf("from elsewhere: %v, from the file: %v", err2, err)
	case strings.HasSuffix(t.Name(), "two_mp3_in_one"):
		// In a file ffmpeg sees that the size is wrong, and keeps the padding.
	case info.Duration != 0 && info2.Duration == 0:
		// Nor is the end of its fragments seen: it is taken for something long.
		if m.Duration != m2.Duration {
			t.Errorf("from elsewhere: %+v, from the file: %+v", m2, m)
		}
	case m != m2 || !bytes.Equal(whole(t, out), whole(t, out2)):
		t.Errorf("from elsewhere: %+v, from the file: %+v", m2, m)
	case info.Tags != info2.Tags || info.Container != info2.Container || !near(info.Duration, info2.Duration):
		t.Errorf("probed elsewhere: %+v, the file: %+v", info2, info)
	}
	return info, m, out, err
}

// verdictOf is what the owner of a file is told. That an mp4 was cut short is
// seen at another moment in a stream.
func verdictOf(err error) string {
	if errors.Is(err, ErrCutShort) || errors.Is(err, ErrDamaged) {
		return ErrDamaged.Error()
	}
	if err == nil {
		return ""
	}
	return fail.Detail(err)
}

func convertInput(t *testing.T, in *Input, opt options.Options) (Info, Result, *os.File, error) {
	t.Helper()
	out := file(t, nil)
	info, err := tools(t).Probe(t.Context(), in)
	if err != nil {
		return info, Result{}, out, err
	}
	p, err := tools(t).Prepare(t.Context(), in, info, opt)
	if err != nil {
		return info, Result{}, out, err
	}
	m, err := save(tools(t).Convert(t.Context(), in, p, opt.Outputs()[0], nil), out)
	if err == nil {
		var odd []string
		if m, odd, err = tools(t).Verify(t.Context(), Local(out), p, m); len(odd) > 0 {
			t.Errorf("odd: %q", odd)
		}
	}
	return info, m, out, err
}

// save does with a conversion what a blob store does.
func save(c *Conversion, out *os.File) (Result, error) {
	_, copied := io.Copy(out, c)
	m, err := c.Wait()
	if err != nil {
		return m, err
	}
	if copied != nil {
		return m, copied
	}
	at, head := c.Amend()
	if _, err := out.WriteAt(head, at); err != nil {
		return m, err
	}
	_, err = out.Seek(0, io.SeekStart)
	return m, err
}

func whole(t *testing.T, f *os.File) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// judged is what a plain ffprobe says of a result.
type judged struct {
	Streams []struct {
		Codec    string `json:"codec_name"`
		Rate     string `json:"sample_rate"`
		Channels int    `json:"channels"`
		Bitrate  string `json:"bit_rate"`
	} `json:"streams"`
	Format struct {
		Name     string            `json:"format_name"`
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

func judge(t *testing.T, out *os.File) (j judged, duration time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "/dev/fd/3")
	cmd.ExtraFiles = []*os.File{out}
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &j); err != nil {
		t.Fatal(err)
	}
	if len(j.Streams) != 1 || j.Format.Name != "mp3" {
		t.Fatalf("not an MP3 of one stream: %s", b)
	}
	return j, seconds(j.Format.Duration)
}

// near reports whether two durations are within a tenth of a second: a few
// frames of the codecs on both sides.
func near(a, b time.Duration) bool { return (a - b).Abs() <= 100*time.Millisecond }
