package alchemist_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// TestKnativeFunc runs the root of the repository by Knative's func, as the
// README shows it: the whole system, then one function over the same data.
func TestKnativeFunc(t *testing.T) {
	clone, p := cloned(t), embedded(t)

	s := runFunc(t, clone, p)
	s.healthy(t)
	c := s.admin(t)
	j := c.await(t, c.upload(t, "talk.mp4", video(t, 3)).ID)
	if j.State != job.Done || len(j.Results) != 1 {
		t.Fatalf("ended %+v", j)
	}
	status, content := c.call(t, http.MethodGet, j.Results[0].URL)
	if status != http.StatusOK {
		t.Fatalf("download: %d %s", status, content)
	}
	if d := duration(t, content); d < 2.9 || d > 3.2 {
		t.Errorf("the MP3 lasts %g s, want 3", d)
	}
	// The next is under way when the function ends, which waits for it, but not
	// for those who follow it.
	long := c.upload(t, "long.mp4", video(t, 600)).ID
	eventually(t, "the conversion has begun", 30*time.Second, func() bool { return c.job(t, long).State == job.Converting })
	followed := c.follow(t, long)
	s.drain(t, clone)
	if last := rest(t, followed); last.ID != long || last.State.Ended() || followed.Err() != nil {
		t.Errorf("the stream ends with %+v, %v; want it to end before the job", last, followed.Err())
	}
	if mp3s := p.stored(t, blob.Audio); len(mp3s) != 2 {
		t.Errorf("after the drain there are the MP3s %v, want 2", mp3s)
	}

	s = runFunc(t, clone, p, "FUNCTION=login")
	s.healthy(t)
	c = s.admin(t)
	for _, r := range []struct{ method, path string }{{http.MethodPost, "/upload"}, {http.MethodGet, "/jobs/" + j.ID}, {http.MethodGet, "/"}} {
		if status, body := c.call(t, r.method, r.path); status != http.StatusNotFound {
			t.Errorf("login alone answers %s %s with %d %s, want 404", r.method, r.path, status, body)
		}
	}
	// As Ctrl-C does it, which leaves nobody behind.
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	s.ended(t)
}

// cloned copies the files of the repository, as func writes beside them.
func cloned(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		info, err := os.Stat(name)
		if os.IsNotExist(err) {
			continue // deleted, but not yet for git
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var runningOn = regexp.MustCompile(`(?m)^Running on host port (\d+)$`)

// runFunc runs func in a clone with the settings, and waits until it says that
// the function is ready. The port is of func's own choice.
func runFunc(t *testing.T, clone string, p *place, settings ...string) *server {
	t.Helper()
	settings = append(settings, "DATA_DIR="+p.data, "ADMIN_EMAIL="+adminEmail, "ADMIN_PASSWORD="+adminPassword)
	if err := os.WriteFile(filepath.Join(clone, "cfg"), []byte(strings.Join(settings, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{place: p, log: &lockedBuffer{}, out: &lockedBuffer{}, exited: make(chan struct{})}
	s.cmd = exec.Command("tools/func", "run", "--builder=host", "--container=false")
	s.cmd.Dir = clone
	s.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+filepath.Join(clone, ".func", "config"))
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // for the function as well, which writes to the same log
		s.code = s.cmd.ProcessState.ExitCode()
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.exited
		if t.Failed() {
			t.Logf("func's log:\n%s\n%s", tail(s.out.String(), 3000), tail(s.log.String(), 6000))
		}
	})
	// It compiles func itself before, where that was never done.
	eventually(t, "func says that the function runs", 40*time.Minute, func() bool {
		select {
		case <-s.exited:
			t.Fatalf("func ended with %d", s.code)
		default:
		}
		m := runningOn.FindStringSubmatch(s.log.String())
		if m != nil {
			s.url = "http://127.0.0.1:" + m[1]
		}
		return m != nil
	})
	t.Logf("func runs it after %v", time.Since(began).Round(time.Second/10))
	return s
}

// healthy asks for what func's scaffolding answers by itself, and for our own.
func (s *server) healthy(t *testing.T) {
	t.Helper()
	for path, want := range map[string]string{"/health/readiness": "READY", "/health/liveness": "ALIVE", "/readyz": "", "/healthz": ""} {
		if status, body := s.get(t, path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s answers %d %s", path, status, body)
		}
	}
}

// drain ends the function alone, by SIGTERM, and waits until func has ended of
// that. A signal to func would be no use: it kills the function.
func (s *server) drain(t *testing.T, clone string) {
	t.Helper()
	if runtime.GOOS == "linux" {
		for _, process := range processesOf(t, s.data) {
			if id, name, _ := strings.Cut(process, " "); name == "f.bin" {
				pid, err := strconv.Atoi(id)
				if err != nil {
					t.Fatal(err)
				}
				if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
		}
	} else if out, err := exec.Command("pkill", "-TERM", "-g", strconv.Itoa(s.cmd.Process.Pid), "-x", "f.bin").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.ended(t)
	if s.code != 0 {
		t.Errorf("func ended with %d", s.code)
	}
	runs := filepath.Join(clone, ".func", "runs")
	if left, err := os.ReadDir(runs); err != nil || len(left) != 0 {
		t.Errorf("func has left %v, %v", left, err)
	}
}

// ended waits until func and its function have ended.
func (s *server) ended(t *testing.T) {
	t.Helper()
	began := time.Now()
	select {
	case <-s.exited:
	case <-time.After(90 * time.Second):
		t.Fatal("func or its function does not end")
	}
	t.Logf("both have ended after %v", time.Since(began).Round(time.Second/100))
}
