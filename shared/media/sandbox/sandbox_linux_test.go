package sandbox

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opengundumstyle/audio-alchemist/shared/media/sandbox/become"
)

func program(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// confined returns what an attempt of the confined test program says.
func confined(t *testing.T, l Limits, files []*os.File, attempt ...string) string {
	t.Helper()
	cmd := Command(t.Context(), program(t), append([]string{"attempt"}, attempt...), files, l)
	return said(t, cmd)
}

// free returns the same with nothing to confine it.
func free(t *testing.T, attempt ...string) string {
	t.Helper()
	return said(t, exec.CommandContext(t.Context(), program(t), append([]string{"attempt"}, attempt...)...))
}

func said(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	return strings.TrimSpace(string(out))
}

func TestAConfinedProgramReachesNothing(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	for _, name := range []string{"secret", "log"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("hunter2"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	unixSocket := filepath.Join(dir, "socket")
	u, err := net.Listen("unix", unixSocket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = u.Close() }()
	us := strconv.Itoa(os.Getpid())
	tests := map[string]struct {
		attempt   []string
		free, got string
	}{
		"a file of the server":            {[]string{"read", secret}, "hunter2", "EACCES"},
		"the system's accounts":           {[]string{"list", "/etc"}, "ok", "EACCES"},
		"the environment of the server":   {[]string{"read", "/proc/" + us + "/environ"}, "", "EACCES"},
		"a list of files":                 {[]string{"list", dir}, "ok", "EACCES"},
		"a new file":                      {[]string{"create", filepath.Join(dir, "new")}, "", "EACCES"},
		"another name for a file":         {[]string{"link", secret}, "ok", "EACCES"},
		"more in a file":                  {[]string{"append", filepath.Join(dir, "log")}, "ok", "EACCES"},
		"TCP":                             {[]string{"dial", "tcp", l.Addr().String()}, "ok", "EPERM"},
		"UDP":                             {[]string{"dial", "udp", l.Addr().String()}, "ok", "EPERM"},
		"a socket in the file system":     {[]string{"dial", "unix", unixSocket}, "ok", "EPERM"},
		"the kernel by netlink":           {[]string{"socket", strconv.Itoa(unix.AF_NETLINK)}, "ok", "EPERM"},
		"another program":                 {[]string{"start", "/bin/true"}, "ok", "EPERM"},
		"another program in its place":    {[]string{"become", "/bin/true"}, "", "EACCES"},
		"a signal to the server":          {[]string{"signal", us}, "ok", "EPERM"},
		"a group that is not killed":      {[]string{"leave group"}, "ok", "EPERM"},
		"the memory of the server":        {[]string{"attach", us}, "ok", "EPERM"},
		"privileges by a set-uid program": {[]string{"privileges"}, "0", "1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := free(t, tt.attempt...); tt.free != "" && got != tt.free {
				t.Errorf("unconfined: %s, want %s", got, tt.free)
			}
			if got := confined(t, Limits{}, nil, tt.attempt...); got != tt.got {
				t.Errorf("confined: %s, want %s", got, tt.got)
			}
		})
	}
}

// handed makes a file without a name and returns it open for both, and open
// for reading.
func handed(t *testing.T) (both, reading *os.File) {
	t.Helper()
	both, err := os.CreateTemp(t.TempDir(), "")
	if err == nil {
		_, err = both.WriteString("content")
	}
	if err == nil {
		reading, err = os.Open(both.Name())
	}
	if err == nil {
		err = os.Remove(both.Name())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = both.Close(), reading.Close() })
	return both, reading
}

func TestFilesThatAreHandedOverCanBeOpenedAgain(t *testing.T) {
	_, in := handed(t)
	out, _ := handed(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	_, _ = w.WriteString("from a pipe")
	_ = w.Close()
	files := []*os.File{in, nil, out, r}
	for _, tt := range []struct{ what, attempt, path, want string }{
		{"read the input", "read", "/dev/fd/3", "content"},
		{"write to the input", "append", "/dev/fd/3", "EACCES"},
		{"empty the input", "empty", "/dev/fd/3", "EACCES"},
		{"a gap between them", "read", "/dev/fd/4", "ENOENT"},
		{"add to the output", "append", "/dev/fd/5", "ok"},
		{"read the output", "read", "/dev/fd/5", "contentmore"},
		{"empty the output", "empty", "/dev/fd/5", "ok"},
		{"read a pipe", "read", "/dev/fd/6", "from a pipe"},
		{"one that was not handed over", "read", "/dev/fd/7", "ENOENT"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			if got := confined(t, Limits{}, files, tt.attempt, tt.path); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestNothingIsInherited(t *testing.T) {
	t.Setenv("LEDGER_URL", "mysql://app:hunter2@db/alchemist")
	if got := confined(t, Limits{}, nil, "environment"); got != "ok" {
		t.Errorf("environment: %s", got)
	}
	leak, err := syscall.Dup(int(os.Stderr.Fd())) // has no flag that closes it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(leak) }()
	_, in := handed(t)
	if got := free(t, "descriptors"); got == "0 1 2" {
		t.Errorf("unconfined: %s, want one more", got)
	}
	if got := confined(t, Limits{}, []*os.File{in}, "descriptors"); got != "0 1 2 3" {
		t.Errorf("descriptors: %s", got)
	}
}

func TestLimits(t *testing.T) {
	l := Limits{CPU: 1500 * time.Millisecond, FileSize: 1 << 20, Files: 40}
	if got := confined(t, l, nil, "limits"); got != "3 1048576 40 0" {
		t.Errorf("limits: %s", got)
	}
	signal := func(cmd *exec.Cmd) syscall.Signal {
		var exit *exec.ExitError
		if err := cmd.Run(); !errors.As(err, &exit) {
			t.Fatalf("ended with %v", err)
		}
		return exit.Sys().(syscall.WaitStatus).Signal()
	}
	if got := signal(Command(t.Context(), "/usr/bin/yes", nil, nil, Limits{CPU: time.Second})); got != syscall.SIGXCPU {
		t.Errorf("endless loop: %v", got)
	}
	copies := func(l Limits, args ...string) *exec.Cmd {
		cmd := Command(t.Context(), "/bin/dd", args, nil, l)
		cmd.Stdin = bytes.NewReader(make([]byte, 1<<20))
		out, _ := handed(t)
		cmd.Stdout = out
		return cmd
	}
	if got := signal(copies(Limits{FileSize: 100_000}, "bs=64K")); got != syscall.SIGXFSZ {
		t.Errorf("large output: %v", got)
	}
	var exit *exec.ExitError
	greedy := copies(Limits{Memory: 64 << 20}, "bs=100M")
	var said bytes.Buffer
	greedy.Stderr = &said
	if err := greedy.Run(); !errors.As(err, &exit) || !strings.Contains(said.String(), "memory exhausted") {
		t.Errorf("large buffer: %v, %s", err, said.String())
	}
	if err := copies(Limits{Memory: 64 << 20}, "bs=10M").Run(); err != nil {
		t.Errorf("buffer within the limit: %v", err)
	}
}

func TestAProgramThatCannotStartSaysWhy(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/nowhere/ffmpeg": "no such file or directory", script: "permission denied"} {
		out, err := Command(t.Context(), path, nil, nil, Limits{}).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != ExitFailed || !strings.HasPrefix(string(out), "sandbox: start "+path+": "+want) {
			t.Errorf("%s: %v, %s", path, err, out)
		}
	}
}

func TestLibrariesBesideTheProgram(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/bin/ffmpeg":                    "",
		"/opt/ffmpeg/bin/ffmpeg":             "/opt/ffmpeg/bin /opt/ffmpeg/lib /opt/ffmpeg/lib64",
		"/srv/ffmpeg":                        "/srv",
		"/nix/store/abc-ffmpeg-7/bin/ffmpeg": "/nix/store/",
	} {
		if got := strings.Join(besides(program), " "); got != want {
			t.Errorf("%s: %s, want %s", program, got, want)
		}
	}
}

func TestProtectionIsToldAsItIs(t *testing.T) {
	if p := Supported(); p.Landlock < 1 || !p.Seccomp || !p.Limits || strings.Contains(p.String(), "NOT files") {
		t.Errorf("here: %+v, %s", p, p)
	}
	older := exec.CommandContext(t.Context(), program(t), order(noLandlock), "--", program(t), "attempt", "protection")
	older.Args[0] = become.Name
	if got := said(t, older); !strings.HasPrefix(got, "NOT files by Landlock, NOT TCP by Landlock") || strings.Contains(got, "NOT sockets") {
		t.Errorf("without Landlock: %s", got)
	}
}

// BenchmarkStart tells what the sandbox adds to the start of a program.
func BenchmarkStart(b *testing.B) {
	run := func(b *testing.B, command func() *exec.Cmd) {
		for b.Loop() {
			if err := command().Run(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("plain", func(b *testing.B) {
		run(b, func() *exec.Cmd { return exec.CommandContext(b.Context(), "/bin/true") })
	})
	b.Run("confined", func(b *testing.B) {
		run(b, func() *exec.Cmd {
			return Command(b.Context(), "/bin/true", nil, nil, Limits{CPU: time.Minute, Memory: 1 << 30, FileSize: 1 << 30, Files: 64})
		})
	})
}
