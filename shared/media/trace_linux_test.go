package media

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// watched are the calls that reach something, or start it.
var watched = []string{
	"open", "openat", "openat2", "creat", "%network", "execve", "execveat", "fork", "vfork", "clone", "clone3",
	"unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat", "truncate", "seccomp",
}

var (
	// opened are what programs may look for without a file asking for it:
	// their libraries, what these want to know of the machine, and the
	// files that they are handed.
	opened = regexp.MustCompile(`^(/usr(/local)?)?/lib(32|64)?/|^/etc/(ld\.so\.(cache|preload)|gcrypt/\w+\.deny|ssl/openssl\.cnf|OpenCL/vendors|vdpau_wrapper\.cfg|fonts/.*|localtime)$|^/usr/share/zoneinfo/|` +
		`^/proc/(self/(status|maps|auxv|cgroup|mountinfo)|filesystems|mounts|cpuinfo|meminfo|stat|sys/(vm|crypto)/\w+)$|^/sys/(devices/system/(cpu|node)|fs/cgroup)|^/dev/(fd/[3-6]|null|urandom)$`)
)

// strace is a command that runs under strace, which writes what is watched to
// a file, and does one thing more.
func strace(ctx context.Context, path, and string, args ...string) *exec.Cmd {
	line := []string{"--seccomp-bpf", "-f", "-qq", "-Y", "-s", "256", "-o", path, "-e", "signal=none", "-e", "trace=" + strings.Join(watched, ","), "-e", and, "--"}
	return exec.CommandContext(ctx, "strace", append(line, args...)...)
}

// seen is what ffmpeg and ffprobe have tried.
type seen struct {
	calls int      // those watched
	bad   []string // those that no file should lead to, with the last mark before them
}

// parts takes a line such as `17<ffmpeg> openat(AT_FDCWD, "/a", O_RDONLY) = 3`
// apart; one that tells of no call, or of its end, has none.
func parts(line string) (by, call, args string) {
	_, line, _ = strings.Cut(line, "<")
	by, line, _ = strings.Cut(line, "> ")
	call, args, _ = strings.Cut(line, "(")
	if args == "" || strings.Contains(call, " ") {
		return by, "", ""
	}
	return by, call, args
}

// readTrace reads what strace has written.
func readTrace(path string) (s seen, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer func() { _ = f.Close() }()
	at := ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		by, call, args := parts(lines.Text())
		_, name, _ := strings.Cut(args, `"`)
		name, _, _ = strings.Cut(name, `"`)
		if after, ok := strings.CutPrefix(name, mark); ok {
			at = after
		}
		if call == "" || by != "ffmpeg" && by != "ffprobe" && (by != "exe" || call != "execve") {
			continue // the test itself, and what becomes the program
		}
		if strings.Contains(args, "<detached ...>") && (by == "exe" || call == "???") {
			continue // it was killed before it became the program, or began the call
		}
		if s.calls++; !permitted(call, args, name) {
			s.bad = append(s.bad, at+": "+lines.Text())
		}
	}
	return s, lines.Err()
}

// permitted tells whether a call is one that a program makes on its own.
func permitted(call, args, name string) bool {
	switch call {
	case "open", "openat":
		return !strings.Contains(name, "..") && opened.MatchString(name)
	case "clone", "clone3":
		return strings.Contains(args, "CLONE_THREAD")
	case "seccomp":
		return true
	case "execve": // as the last thing that it does as "exe"
		return filepath.Base(name) == "ffmpeg" || filepath.Base(name) == "ffprobe"
	}
	return false
}

// TestTheTraceShowsWhatAFileLeadsTo proves that the test of hostile files would
// notice: with no look at it and no allow-list, a playlist leads to a connection
// and to a file.
func TestTheTraceShowsWhatAFileLeadsTo(t *testing.T) {
	c := newCanary(t)
	playlist := filepath.Join(t.TempDir(), "a.m3u8")
	for uri, call := range map[string]string{c.url + "/a.ts": "connect(", c.path: "openat("} {
		if err := os.WriteFile(playlist, []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\n"+uri+"\n#EXT-X-ENDLIST\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		trace := filepath.Join(t.TempDir(), "trace")
		cmd := strace(t.Context(), trace, "signal=none", "ffprobe", "-v", "error", "-protocol_whitelist", "file,http,tcp", "/dev/fd/3")
		f, err := os.Open(playlist)
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = []*os.File{f}
		out, err := cmd.CombinedOutput()
		_ = f.Close()
		s, fault := readTrace(trace)
		if fault != nil || !strings.Contains(strings.Join(s.bad, "\n"), call) {
			t.Errorf("%s: seen %q, %v; ffprobe: %v %s", uri, s.bad, fault, err, out)
		}
	}
}
