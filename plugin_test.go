package alchemist_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
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

// pluginProgram builds cmd/kn-alchemist once, with the race detector.
var pluginProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "kn-alchemist")
	out, err := exec.Command("go", "build", "-race", "-o", path, "./cmd/kn-alchemist").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// plugin is somebody at a shell who has the plugin.
type plugin struct {
	path string
	dir  string // the current folder
	home string
	env  []string
}

func pluginFor(t *testing.T, s *server) *plugin {
	t.Helper()
	path, err := pluginProgram()
	if err != nil {
		t.Fatal(err)
	}
	p := &plugin{path: path, dir: t.TempDir(), home: t.TempDir()}
	p.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.home, "ALCHEMIST_URL=" + s.url}
	return p
}

// as is the same shell with an account in the environment.
func (p *plugin) as(email, password string) *plugin {
	other := *p
	other.env = append(append([]string{}, p.env...), "ALCHEMIST_EMAIL="+email, "ALCHEMIST_PASSWORD="+password)
	return &other
}

// run returns what the plugin prints and the code that it exits with.
func (p *plugin) run(t *testing.T, stdin string, args ...string) (out, errs string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = p.dir, p.env, strings.NewReader(stdin)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// want runs the plugin, fails the test for another exit code, and returns
// what it prints.
func (p *plugin) want(t *testing.T, code int, args ...string) string {
	t.Helper()
	out, errs, got := p.run(t, "", args...)
	if got != code {
		t.Fatalf("kn alchemist %v: exit code %d, want %d\n%s%s", args, got, code, out, errs)
	}
	if strings.Contains(errs, "Error:") == (code == 0) || strings.Count(errs, "Error:") > 1 && len(args) < 3 {
		t.Errorf("kn alchemist %v: told %q", args, errs)
	}
	return out
}

// shown runs the plugin with -o json.
func shown[T any](t *testing.T, p *plugin, args ...string) T {
	t.Helper()
	return decode[T](t, []byte(p.want(t, 0, append(args, "-o", "json")...)))
}

type (
	userList struct{ Users []userView }
	userView struct {
		ID, Email, Password string
		Admin, Disabled     bool
	}
	jobList    struct{ Jobs []job.View }
	letterView struct {
		ID, Job, Type, Subscriber, Answer string
		Status, Times                     int
		Event                             json.RawMessage
	}
	letterList struct{ Deadletters []letterView }
)

func (p *plugin) file(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, p *plugin, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestThePluginConverts(t *testing.T) { everywhere(t, thePluginConverts) }

func thePluginConverts(t *testing.T, place *place) {
	s := start(t, place)
	p := pluginFor(t, s).as(adminEmail, adminPassword)
	p.file(t, `Füße "live" 🎬.mp4`, video(t, 2))
	p.file(t, "b.mp4", video(t, 1))
	p.file(t, "text.mp4", []byte("this is a text"))

	out := p.want(t, 0, "convert", `Füße "live" 🎬.mp4`, "b.mp4", "--format", "mp3,flac", "--title", "A & B", "-o", "made/")
	for _, name := range []string{`Füße "live" 🎬.mp3`, `Füße "live" 🎬.flac`, "b.mp3", "b.flac"} {
		path := filepath.Join("made", name)
		if !strings.Contains(out, path+"\n") {
			t.Errorf("%s is not in %q", path, out)
		}
		content, err := os.ReadFile(filepath.Join(p.dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) == ".flac" {
			if !bytes.HasPrefix(content, []byte("fLaC")) {
				t.Errorf("%s is no flac", path)
			}
			continue
		}
		if d := duration(t, content); d < 0.9 || d > 2.2 {
			t.Errorf("%s lasts %g s", path, d)
		}
	}
	if got := p.want(t, 0, "convert", "b.mp4", "-o", "one.mp3"); got != "one.mp3\n" {
		t.Errorf("printed %q", got)
	}
	p.want(t, 1, "convert", "b.mp4", "-o", "one.mp3") // is there
	p.want(t, 0, "convert", "b.mp4", "-o", "one.mp3", "--force", "-q")
	jobs := shown[jobList](t, p, "job", "list").Jobs
	if len(jobs) != 4 {
		t.Errorf("%d jobs, want 4: a refused one is not sent", len(jobs))
	}
	if got := p.want(t, 0, "job", "download", jobs[0].ID, "-o", "again.mp3"); got != "again.mp3\n" {
		t.Errorf("printed %q", got)
	}
	if one, again := content(t, p, "one.mp3"), content(t, p, "again.mp3"); !bytes.Equal(one, again) {
		t.Errorf("downloaded again: %d bytes, want %d", len(again), len(one))
	}

	out, errs, code := p.run(t, "", "convert", "text.mp4", "b.mp4", "-o", "made", "--force")
	if code != 5 || out != filepath.Join("made", "b.mp3")+"\n" || !strings.Contains(errs, "Error: text.mp4: ") || !strings.Contains(errs, "job retry") {
		t.Errorf("one that cannot be converted: %d, %q, %q", code, out, errs)
	}
	if left, err := filepath.Glob(filepath.Join(p.dir, "*", ".kn-alchemist*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	for name, args := range map[string][]string{
		"no file":        {"convert"},
		"a missing file": {"convert", "none.mp4"},
		"a folder":       {"convert", "made"},
		"a bad option":   {"convert", "b.mp4", "--format", "mp4"},
		"two to one":     {"convert", "b.mp4", "made/../b.mp4"},
		"two to a file":  {"convert", "b.mp4", "text.mp4", "-o", "one.mp3"},
	} {
		if _, errs, code := p.run(t, "", args...); code != 2 || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q", name, code, errs)
		}
	}
}

func TestThePluginAdministers(t *testing.T) { everywhere(t, thePluginAdministers) }

func thePluginAdministers(t *testing.T, place *place) {
	s := start(t, place)
	admin := pluginFor(t, s).as(adminEmail, adminPassword)
	ben := shown[userView](t, admin, "user", "add", "ben@example.com")
	if ben.Admin || len(ben.Password) < 20 {
		t.Fatalf("made %+v", ben)
	}
	out, errs, code := admin.run(t, "a password\n", "user", "add", "eva@example.com", "--admin", "--password-stdin", "-o", "yaml")
	if code != 0 || !strings.Contains(out, "admin: true\n") || strings.Contains(out, "password") {
		t.Fatalf("eva: %d %q %q", code, out, errs)
	}
	eva := pluginFor(t, s).as("eva@example.com", "a password")
	if users := shown[userList](t, eva, "user", "list").Users; len(users) != 3 || users[1] != (userView{ID: ben.ID, Email: ben.Email}) {
		t.Errorf("listed %+v", users)
	}
	admin.want(t, 1, "user", "add", "ben@example.com")
	admin.want(t, 4, "user", "disable", "nobody@example.com")

	bens := pluginFor(t, s).as("ben@example.com", ben.Password)
	bens.file(t, "b.mp4", video(t, 1))
	bens.file(t, "bad.mp4", []byte("a text"))
	bens.want(t, 0, "convert", "b.mp4")
	bens.want(t, 5, "convert", "bad.mp4")
	bens.want(t, 3, "user", "list")
	bens.want(t, 3, "job", "list", "--all")
	bens.want(t, 3, "status")
	if jobs := shown[jobList](t, admin, "job", "list").Jobs; len(jobs) != 0 {
		t.Errorf("the administrator's own: %+v", jobs)
	}
	failed := shown[jobList](t, admin, "job", "list", "--user", "ben@example.com", "--state", "failed").Jobs
	if len(failed) != 1 || failed[0].Name != "bad.mp4" || failed[0].Owner.Email != "ben@example.com" {
		t.Fatalf("failed: %+v", failed)
	}
	if table := admin.want(t, 0, "job", "list", "--all"); !strings.Contains(table, "ben@example.com") || strings.Count(table, "\n") != 3 {
		t.Errorf("all:\n%s", table)
	}
	if text := admin.want(t, 0, "job", "show", failed[0].ID); !strings.Contains(text, "Error: ") || !strings.Contains(text, "bad.mp4") {
		t.Errorf("shown:\n%s", text)
	}
	admin.want(t, 0, "job", "retry", failed[0].ID)
	eventually(t, "the job has failed once more", 20*time.Second, func() bool {
		return shown[job.View](t, admin, "job", "show", failed[0].ID).State == job.Failed
	})
	admin.want(t, 0, "job", "delete", failed[0].ID)
	admin.want(t, 4, "job", "show", failed[0].ID)
	admin.want(t, 4, "job", "delete", failed[0].ID)

	admin.want(t, 0, "user", "disable", "ben@example.com")
	bens.want(t, 0, "job", "list") // the token is valid until it expires
	if _, errs, code := bens.run(t, ben.Password, "login", "--email", "ben@example.com", "--password-stdin"); code != 3 || !strings.Contains(errs, "disabled") {
		t.Errorf("a disabled account: %d %q", code, errs)
	}
	admin.want(t, 0, "user", "enable", ben.ID)
	changed := shown[userView](t, admin, "user", "passwd", "ben@example.com", "--generate")
	pluginFor(t, s).as("ben@example.com", changed.Password).want(t, 0, "login")
	pluginFor(t, s).as("ben@example.com", ben.Password).want(t, 3, "login")
	admin.want(t, 0, "user", "role", "eva@example.com", "user")
	admin.want(t, 1, "user", "role", adminEmail, "user") // the last
	eva.want(t, 3, "user", "list")                       // though her token says that she may
	if text := admin.want(t, 0, "status"); !regexp.MustCompile(`(?m)^all in one +ready$`).MatchString(text) || !regexp.MustCompile(`(?m)^jobs done +1, the oldest for `).MatchString(text) {
		t.Errorf("status:\n%s", text)
	}
}

func TestWhoIsNotLoggedInIsToldWhatToDo(t *testing.T) {
	s := start(t, embedded(t))
	p := pluginFor(t, s)
	if _, errs, code := p.run(t, "", "job", "list"); code != 3 || !strings.Contains(errs, "kn alchemist login") || strings.Count(errs, "\n") != 1 {
		t.Errorf("not logged in: %d %q", code, errs)
	}
	if _, _, code := p.run(t, "wrong password\n", "login", "--email", adminEmail, "--password-stdin"); code != 3 {
		t.Errorf("a wrong password: %d", code)
	}
	if _, errs, code := p.run(t, adminPassword+"\n", "login", "--email", adminEmail, "--password-stdin"); code != 0 {
		t.Fatalf("login: %d %q", code, errs)
	}
	p.want(t, 0, "job", "list")
	kept, err := filepath.Glob(filepath.Join(p.home, ".config", "audio-alchemist", "sessions", "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	if fi, err := os.Stat(kept[0]); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", fi.Mode(), err)
	}
	if text, _ := os.ReadFile(kept[0]); strings.Contains(string(text), adminPassword) {
		t.Error("the password is kept")
	}
	p.want(t, 0, "logout")
	p.want(t, 3, "job", "list")
	for name, args := range map[string][]string{
		"no such command": {"jobs"}, "no such command of one": {"job", "lost"}, "no such flag": {"job", "list", "--lost"}, "no id": {"job", "show"},
		"what is no format": {"job", "list", "-o", "xml"}, "all and one": {"job", "list", "--all", "--user", "x"}, "nothing to do": {"user"},
		"ids and all": {"deadletter", "drop", "x", "--all"}, "no role": {"user", "role", "x", "king"}, "a bad address": {"--url", "ftp://x", "job", "list"},
	} {
		if _, errs, code := p.run(t, "", args...); code != 2 || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q", name, code, errs)
		}
	}
	s.stop(t)
	p.as(adminEmail, adminPassword).want(t, 6, "job", "list")
	if text := p.want(t, 0, "completion", "bash"); !strings.Contains(text, "__start_kn-alchemist") {
		t.Error("no completion for bash")
	}
	if got := p.want(t, 0, "__complete", "convert", "--format", ""); !strings.Contains(got, "flac\n") {
		t.Errorf("completed %q", got)
	}
}

// TestAnIngressOfADomainThatNobodyKnows has the address of a cluster whose
// names do not resolve.
func TestAnIngressOfADomainThatNobodyKnows(t *testing.T) {
	s := start(t, embedded(t))
	p := pluginFor(t, s).as(adminEmail, adminPassword)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	const there = "http://gateway.audio-alchemist.kn.invalid"
	p.want(t, 6, "--url", there, "job", "list")
	p.want(t, 0, "--url", there, "--ingress", "127.0.0.1:"+port, "job", "list")
}

func TestInterruptedConversionsLeaveNothing(t *testing.T) {
	s := start(t, embedded(t))
	p := pluginFor(t, s).as(adminEmail, adminPassword)
	p.file(t, "long.mp4", video(t, 900))
	cmd := exec.CommandContext(t.Context(), p.path, "convert", "long.mp4", "--format", "mp3,flac,opus,ogg")
	cmd.Dir, cmd.Env = p.dir, p.env
	log := &lockedBuffer{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the video is there", 60*time.Second, func() bool { return strings.Contains(log.String(), "uploaded as job") })
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(log.String(), "interrupted") || !strings.Contains(log.String(), "job download ") {
		t.Errorf("exit code %d, %q", code, log.String())
	}
	if all, err := os.ReadDir(p.dir); err != nil || len(all) != 1 {
		t.Errorf("left %v, %v", all, err)
	}
}
