package alchemist_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
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
		return m.Run()
	}())
}

// server is the real program, running over a data folder.
type server struct {
	url  string
	data string

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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// launch starts the program without waiting for it to serve.
func launch(t *testing.T, data, port string, env ...string) *server {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{url: "http://127.0.0.1:" + port, data: data, log: &lockedBuffer{}, out: &lockedBuffer{}, exited: make(chan struct{})}
	s.cmd = exec.Command(path)
	s.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PORT=" + port, "DATA_DIR=" + data,
		"ADMIN_EMAIL=" + adminEmail, "ADMIN_PASSWORD=" + adminPassword,
	}, env...)
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
func start(t *testing.T, data string, env ...string) *server {
	t.Helper()
	s := launch(t, data, freePort(t), env...)
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

// client is a person with an account.
type client struct {
	*server
	http  *http.Client
	token string
}

func (s *server) login(t *testing.T, email, password string) *client {
	t.Helper()
	c := &client{server: s, http: http.DefaultClient}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(email, password)
	status, body := c.do(t, req)
	if status != http.StatusOK {
		t.Fatalf("login: %d %s", status, body)
	}
	c.token = string(body)
	return c
}

func (s *server) admin(t *testing.T) *client {
	t.Helper()
	return s.login(t, adminEmail, adminPassword)
}

func (c *client) do(t *testing.T, req *http.Request) (int, []byte) {
	t.Helper()
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func (c *client) call(t *testing.T, method, path string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.do(t, req)
}

// uploadRequest is a form with one file.
func (c *client) uploadRequest(t *testing.T, name string, content io.Reader) *http.Request {
	t.Helper()
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", name)
		if err == nil {
			_, err = io.Copy(part, content)
		}
		if err == nil {
			err = form.Close()
		}
		w.CloseWithError(err)
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/upload", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+c.token)
	return req
}

// upload sends a file and returns the job of the 202.
func (c *client) upload(t *testing.T, name string, content []byte) job.View {
	t.Helper()
	status, body := c.do(t, c.uploadRequest(t, name, bytes.NewReader(content)))
	if status != http.StatusAccepted {
		t.Fatalf("upload: %d %s", status, body)
	}
	return decode[job.View](t, body)
}

func (c *client) job(t *testing.T, id string) job.View {
	t.Helper()
	status, body := c.call(t, http.MethodGet, "/jobs/"+id)
	if status != http.StatusOK {
		t.Fatalf("job %s: %d %s", id, status, body)
	}
	return decode[job.View](t, body)
}

// await follows the events of a job until it ends.
func (c *client) await(t *testing.T, id string) job.View {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/jobs/"+id+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var last job.View
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			last = decode[job.View](t, []byte(data))
		}
	}
	if !last.State.Ended() {
		t.Fatalf("the events of job %s end with %+v", id, last)
	}
	return last
}

func decode[T any](t *testing.T, body []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

// mails returns the messages in the mailbox folder.
func (s *server) mails(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.data, "mail", "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := make([]string, 0, len(names))
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(raw))
	}
	return all
}

// files lists the regular files below a folder of the data folder.
func (s *server) files(t *testing.T, folder string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(filepath.Join(s.data, folder), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all = append(all, path)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// video makes a video with ffmpeg: a test picture and a tone of the length.
func video(t *testing.T, seconds float64, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "video.mp4")
	ffmpeg(t, append(append([]string{
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=160x120:r=10:d=%g", seconds),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=440:d=%g", seconds), "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac",
	}, args...), path)...)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
}

var durationLine = regexp.MustCompile(`duration=([0-9.]+)`)

// duration asks ffprobe how long a file really is, by decoding its packets.
func duration(t *testing.T, content []byte) float64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "it.mp3")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format=duration:stream=codec_name", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	m := durationLine.FindSubmatch(out)
	if m == nil || !bytes.Contains(out, []byte("codec_name=mp3")) {
		t.Fatalf("ffprobe says %s", out)
	}
	var d float64
	if _, err := fmt.Sscan(string(m[1]), &d); err != nil {
		t.Fatal(err)
	}
	return d
}
