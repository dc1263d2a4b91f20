package media

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// What is asserted of every file. The clock has more, as the machine may have
// other things to do.
const (
	caseWork   = 10 * time.Second // of a CPU
	caseWithin = 30 * time.Second
	caseMemory = maxMemory + 256<<20 // what is read of libraries counts here, too
)

// verdictOnCase is what the corpus process tells of a file.
type verdictOnCase struct {
	Name    string
	Kind    string        // of the error; empty where an MP3 was made
	Detail  string        // for the owner
	Error   string        // for the operator
	Took    time.Duration // by the clock
	Work    time.Duration // of the CPUs
	Memory  int64         // of the largest program so far, in bytes
	Orphans bool
}

// corpus names a share of the files to the process that tries them.
type corpus struct {
	Folder    string
	Program   string // that tries them
	Shard, Of int
	Mutations int    // of each file whose name begins with "good "
	Kinds     string // and then matches this pattern (path.Match)
}

// try does with each file what convert does, under a mark that is seen in the
// trace, and writes the verdicts to w.
func (c corpus) try(w io.Writer) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	tools, err := Find("", "")
	if err != nil {
		return err
	}
	tools.MaxDuration = time.Minute
	files, err := os.ReadDir(c.Folder)
	if err != nil {
		return err
	}
	out := json.NewEncoder(w)
	for i, f := range files {
		if i%c.Of != c.Shard {
			continue
		}
		content, err := os.ReadFile(filepath.Join(c.Folder, f.Name()))
		if err != nil {
			return err
		}
		if err := out.Encode(c.one(tools, f.Name(), content, i%2 == 1, wishes...)); err != nil {
			return err
		}
		kind, is := strings.CutPrefix(f.Name(), "good ")
		if wanted, err := path.Match(c.Kinds, kind); !is || !wanted || err != nil {
			continue
		}
		for n := range c.Mutations {
			name := f.Name() + " " + strconv.Itoa(n)
			// All four ways, but each file only one of them: it takes hours as it is.
			if err := out.Encode(c.one(tools, name, mutated(f.Name(), n, content), n%2 == 1, wishes[n/2%2])); err != nil {
				return err
			}
		}
	}
	return nil
}

// wishes are what is made of a file: what is only copied or encoded; and with
// every filter and decoder there is.
var wishes = []options.Options{
	{},
	{Formats: []options.Format{options.M4A}, Bitrate: 64_000, Normalize: -16, Start: options.Time(time.Millisecond), Cover: "0"},
}

// one tries a file, as a stream or as a file.
func (c corpus) one(tools Tools, name string, content []byte, stream bool, wishes ...options.Options) verdictOnCase {
	_, _ = os.Open(mark + name) // is not there
	began, before := time.Now(), children()
	ctx, cancel := context.WithTimeoutCause(context.Background(), 2*caseWithin, ErrTooLong)
	defer cancel()
	err := c.convert(ctx, tools, content, stream, wishes)
	v := verdictOnCase{Name: name, Took: time.Since(began)}
	if err != nil {
		v.Kind, v.Detail, v.Error = fail.KindOf(err).String(), fail.Detail(err), err.Error()
	}
	used := children()
	v.Memory, v.Work = used.Maxrss<<10, worked(used)-worked(before)
	_, err = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
	v.Orphans = !errors.Is(err, syscall.ECHILD)
	return v
}

// children is what the programs that have ended have used.
func children() (used syscall.Rusage) {
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used)
	return used
}

func worked(used syscall.Rusage) time.Duration {
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

const mark = "/the file is/"

func (c corpus) convert(ctx context.Context, tools Tools, content []byte, stream bool, wishes []options.Options) error {
	f, err := TempFile("")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(content); err != nil {
		return err
	}
	in := Local(f)
	if stream {
		if in, err = tools.Open(ctx, bytes.NewReader(content), int64(len(content)), false); err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
	}
	info, err := tools.Probe(ctx, in)
	if err != nil {
		return err
	}
	for _, opt := range wishes {
		if !info.film {
			opt.Cover = ""
		}
		p, err := tools.Prepare(ctx, in, info, opt)
		if err != nil {
			return err
		}
		made := tools.Convert(ctx, in, p, opt.Outputs()[0], nil)
		_, _ = io.Copy(io.Discard, made)
		if _, err := made.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// TestHostileFilesReachNothing tries files that name others, bombs, and
// mutations of good files in a process that strace follows. The filter of
// system calls is left out by strace, so that what it would refuse is seen.
func TestHostileFilesReachNothing(t *testing.T) {
	c := newCanary(t)
	mutations, kinds := 4, "*" // make fuzz has more
	if v := os.Getenv("MUTATIONS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("MUTATIONS: %v", err)
		}
		mutations = n
	}
	if v := os.Getenv("MUTATED"); v != "" {
		kinds = v
	}
	folder := t.TempDir()
	media := goodFiles(t)
	for _, set := range []struct {
		prefix string
		files  map[string][]byte
	}{{"good ", media}, {"", hostile(t, c.url, c.path, media)}, {"bomb ", bombs(t, media)}} {
		for name, content := range set.files {
			if err := os.WriteFile(filepath.Join(folder, set.prefix+name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	program, shards := trier(t), max(1, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	tried := make([]int, shards)
	for i := range shards {
		wg.Go(func() {
			tried[i] = traced(t, corpus{Folder: folder, Program: program, Shard: i, Of: shards, Mutations: mutations, Kinds: kinds})
		})
	}
	wg.Wait()
	if n := c.calls.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	all := 0
	for _, n := range tried {
		all += n
	}
	t.Logf("%d files", all)
	wanted := 0
	for name := range media {
		if match, err := path.Match(kinds, name); err != nil {
			t.Fatalf("MUTATED: %v", err)
		} else if match {
			wanted++
		}
	}
	if want := wanted*mutations + len(media) + 100; all < want {
		t.Errorf("only %d files were tried, want at least %d", all, want)
	}
}

// trier is the program that tries the files: this one, but without the race
// detector, which would be started with each ffprobe and each ffmpeg, and cost
// as much as these.
func trier(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if info, ok := debug.ReadBuildInfo(); !ok || !slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return self
	}
	program := filepath.Join(t.TempDir(), "trier")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// goodFiles makes a short sample of each kind, several at once.
func goodFiles(t *testing.T) map[string][]byte {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	files := map[string][]byte{}
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	dir := t.TempDir()
	for _, g := range good {
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			path := filepath.Join(dir, g.name)
			args := strings.ReplaceAll(g.args, "duration=4", "duration=0.5")
			out, err := exec.CommandContext(t.Context(), "ffmpeg", append(strings.Fields("-loglevel error -nostdin "+args), path)...).CombinedOutput()
			if err != nil {
				t.Errorf("make %s: %v\n%s", g.name, err, out)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			files[g.name] = b
		})
	}
	wg.Wait()
	return files
}

// traced runs a share of the corpus under strace, and judges what is told and
// what is seen; it returns how many files were tried.
func traced(t *testing.T, c corpus) (tried int) {
	order, err := json.Marshal(c)
	if err != nil {
		t.Error(err)
		return 0
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := strace(t.Context(), trace, "inject=seccomp:retval=0", c.Program)
	cmd.Env = append(os.Environ(), "MEDIA_TEST_CORPUS="+string(order), "GOMAXPROCS=1") // one encoder each
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	told, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %s", err, complaints.String())
	}
	dec := json.NewDecoder(bytes.NewReader(told))
	for {
		var v verdictOnCase
		if err := dec.Decode(&v); err != nil {
			break
		}
		tried++
		judgeCase(t, v)
	}
	seen, err := readTrace(trace)
	if err != nil || seen.calls < 1000 {
		t.Errorf("%d calls were seen, %v", seen.calls, err)
	}
	for _, call := range seen.bad[:min(len(seen.bad), 20)] {
		t.Error(call)
	}
	return tried
}

func judgeCase(t *testing.T, v verdictOnCase) {
	good := strings.HasPrefix(v.Name, "good ") && !strings.Contains(strings.TrimPrefix(v.Name, "good "), " ")
	switch {
	case v.Kind != "" && v.Kind != fail.Invalid.String():
		t.Errorf("%s: a fault, and no reason: %s", v.Name, v.Error)
	case v.Kind != "" && good:
		t.Errorf("%s is refused: %s", v.Name, v.Error)
	}
	if v.Took > caseWithin || v.Work > caseWork {
		t.Errorf("%s takes %v, %v of the CPUs: %s", v.Name, v.Took, v.Work, v.Error)
	}
	if v.Memory > caseMemory {
		t.Errorf("%s: %d MiB of memory", v.Name, v.Memory>>20)
	}
	if v.Orphans {
		t.Errorf("%s leaves a process", v.Name)
	}
	if testing.Verbose() && !good {
		t.Logf("%s: %v, %v of the CPUs %s %s", v.Name, v.Took.Round(time.Millisecond), v.Work.Round(time.Millisecond), v.Kind, v.Detail)
	}
}
