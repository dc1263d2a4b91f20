package mp4

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The inputs that ffmpeg makes for tests.
const (
	picture = "-f lavfi -i testsrc=size=160x120:rate=25:duration=3"
	noise   = "-f lavfi -i anoisesrc=duration=3:seed=3:amplitude=0.3"
	tone    = "-f lavfi -i sine=frequency=660:duration=2"
	h264    = " -pix_fmt yuv420p -c:v libx264 -preset ultrafast -bf 2"
	av      = picture + " " + noise + h264
)

var (
	madeMu sync.Mutex
	made   = map[string][]byte{}
)

// sample returns the bytes of a file with the extension of name that ffmpeg
// makes from the arguments; made once for the whole run.
func sample(t testing.TB, name, args string) []byte {
	t.Helper()
	madeMu.Lock()
	defer madeMu.Unlock()
	key := name + " " + args
	if b, ok := made[key]; ok {
		return b
	}
	path := filepath.Join(t.TempDir(), name)
	run(t, nil, append(strings.Fields(args), path)...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	made[key] = b
	return b
}

// run runs ffmpeg with something to read, and returns what it writes.
func run(t testing.TB, stdin io.Reader, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-hide_banner", "-loglevel", "error"}, args...)...)
	cmd.Stdin = stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, stderr.String())
	}
	if stderr.Len() > 0 {
		t.Logf("ffmpeg %v: %s", args, stderr.String())
	}
	return out
}

// fromFile and fromPipe run ffmpeg on content in a file and through a pipe.
func fromFile(t testing.TB, content []byte, args string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return run(t, nil, append([]string{"-i", path}, strings.Fields(args+" -")...)...)
}

func fromPipe(t testing.TB, content []byte, args string) []byte {
	t.Helper()
	return run(t, bytes.NewReader(content), append([]string{"-i", "pipe:0"}, strings.Fields(args+" -")...)...)
}

// streamed returns what a stream of content gives; its length is checked.
func streamed(t testing.TB, content []byte, keep Keep) []byte {
	t.Helper()
	s, err := Open(bytes.NewReader(content), int64(len(content)), keep)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Reader()
	defer func() { _ = r.Close() }()
	out, err := io.ReadAll(r)
	if err != nil || int64(len(out)) != s.Len() {
		t.Fatalf("read %d bytes, promised %d; %v", len(out), s.Len(), err)
	}
	return out
}

// rearranged lays the chunks of a file out in another order, with the index at
// the end. Each run of chunks gets an mdat box of its own, with zeros between.
func rearranged(t testing.TB, content []byte, order func([]placed)) []byte {
	t.Helper()
	s, err := Open(bytes.NewReader(content), int64(len(content)), All)
	if err != nil {
		t.Fatal(err)
	}
	var all []placed
	for track, c := range s.chunks() {
		all = append(all, placed{track, c})
	}
	order(all)
	l, err := survey(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	index, tables := rebuild(content[l.moov.start:l.moov.end], s.tracks, nil, false)
	out := bytes.Clone(content[l.ftyp.start:l.ftyp.end])
	for run := range slices.Chunk(all, max(1, len(all)/5)) {
		body := make([]byte, 100)
		start := int64(len(out) + 8)
		for _, p := range run {
			tables[p.track].put(p.n, start+int64(len(body)))
			body = append(body, content[p.at:p.at+p.size]...)
		}
		out = append(out, wrap("mdat", body)...)
	}
	return append(out, index...)
}

type placed struct {
	track int
	chunk
}

// find returns where the body of the first box of a kind is.
func find(t testing.TB, content []byte, kind string) int {
	t.Helper()
	at := bytes.Index(content, []byte(kind))
	if at < 0 {
		t.Fatalf("no box %s", kind)
	}
	return at + 4
}

// with returns a copy in which the 32 bits at a place in the first box of a
// kind have another value.
func with(t testing.TB, content []byte, kind string, offset int, v uint32) []byte {
	t.Helper()
	content = bytes.Clone(content)
	binary.BigEndian.PutUint32(content[find(t, content, kind)+offset:], v)
	return content
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
