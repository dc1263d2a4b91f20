package alchemist_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

const (
	adminEmail    = "admin@example.com"
	adminPassword = "correct horse battery"
)

// program builds cmd/alchemist once, with the race detector, and returns its
// path.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "alchemist")
	out, err := exec.Command("go", "build", "-race", "-o", path, "./cmd/alchemist").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// scratch is a folder for what all tests share.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "alchemist")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		scratch = dir
		defer func() { _ = os.RemoveAll(dir) }()
		return servers.Run(m)
	}())
}

// server is the real program, running in a place.
type server struct {
	*place
	url string

	cmd    *exec.Cmd
	log    *lockedBuffer
	out    *lockedBuffer
	exited chan struct{}
	code   int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// freePort finds a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

// launch starts the program without waiting for it to serve.
func launch(t *testing.T, p *place, port string, env ...string) *server {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return execute(t, path, p, port, env...)
}

// execute starts any of our programs.
func execute(t *testing.T, path string, p *place, port string, env ...string) *server {
	t.Helper()
	s := &server{place: p, url: "http://127.0.0.1:" + port, log: &lockedBuffer{}, out: &lockedBuffer{}, exited: make(chan struct{})}
	s.cmd = exec.Command(path)
	s.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PORT=" + port, "DATA_DIR=" + p.data,
		"ADMIN_EMAIL=" + adminEmail, "ADMIN_PASSWORD=" + adminPassword,
	}, append(slices.Clone(p.env), env...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		s.code = s.cmd.ProcessState.ExitCode()
		close(s.exited)
	}()
	t.Cleanup(func() {
		s.signal(syscall.SIGKILL)
		<-s.exited
		if t.Failed() {
			t.Logf("the server's log:\n%s", tail(s.log.String(), 6000))
		}
		if strings.Contains(s.log.String(), "DATA RACE") {
			t.Errorf("the server has a data race:\n%s", s.log.String())
		}
	})
	return s
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// start starts the program and waits until it is ready.
func start(t *testing.T, p *place, env ...string) *server {
	t.Helper()
	s := launch(t, p, freePort(t), env...)
	s.awaitReady(t)
	return s
}

func (s *server) awaitReady(t *testing.T) {
	t.Helper()
	eventually(t, "the server is ready", 30*time.Second, func() bool {
		select {
		case <-s.exited:
			t.Fatalf("the server ended with %d:\n%s", s.code, s.log)
		default:
		}
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (s *server) signal(sig os.Signal) { _ = s.cmd.Process.Signal(sig) }

// stop ends the program with SIGTERM and returns its exit code.
func (s *server) stop(t *testing.T) int {
	t.Helper()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(60 * time.Second):
		t.Fatal("the server does not end")
	}
	return s.code
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, within time.Duration, condition func() bool) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s", within, what)
		case <-tick.C:
		}
	}
}
