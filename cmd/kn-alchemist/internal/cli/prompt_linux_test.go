package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is one that a program runs in: the side of the person, and that of
// the program.
type terminal struct {
	person, program *os.File

	mu    sync.Mutex
	shown strings.Builder
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	x := &terminal{person: person, program: tty}
	go func() { // until person is closed
		for b := make([]byte, 1024); ; {
			n, err := person.Read(b)
			if err != nil {
				return
			}
			x.mu.Lock()
			x.shown.Write(b[:n])
			x.mu.Unlock()
		}
	}()
	return x
}

func (x *terminal) screen() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.shown.String()
}

// start runs a program in the terminal.
func (x *terminal) start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = x.program, x.program, x.program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (x *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := x.person.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// echoes reports whether the terminal shows what is typed.
func (x *terminal) echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(x.program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// await waits until the screen shows a text, and the terminal what is typed
// or not.
func (x *terminal) await(t *testing.T, text string, echo bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(30 * time.Second); !strings.Contains(x.screen(), text) || x.echoes(t) != echo; <-again.C {
		if time.Now().After(until) {
			t.Fatalf("no %q with echo %v in:\n%s", text, echo, x.screen())
		}
	}
}

func ended(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	watch := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer watch.Stop()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

func TestAnInterruptionEndsAPrompt(t *testing.T) {
	ctrlC := func(t *testing.T, x *terminal, _ *exec.Cmd) { x.press(t, "\x03") }
	for name, tt := range map[string]struct {
		args   []string
		prompt string
		echo   bool
		end    func(*testing.T, *terminal, *exec.Cmd)
	}{
		"an address":     {[]string{"login"}, "Email address", true, ctrlC},
		"a password":     {[]string{"login", "--email", "anna@example.com"}, "Password for", false, ctrlC},
		"a new password": {[]string{"user", "passwd", "ben@example.com"}, "New password", false, ctrlC},
		"a password, by a signal": {[]string{"login", "--email", "anna@example.com"}, "Password for", false,
			func(t *testing.T, _ *terminal, cmd *exec.Cmd) {
				t.Helper()
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Error(err)
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			x := openTerminal(t)
			cmd := program(t, listing(t), nil, tt.args...)
			x.start(t, cmd)
			x.await(t, tt.prompt, tt.echo)
			tt.end(t, x, cmd)
			if code := ended(t, cmd); code != exitInterrupted || !x.echoes(t) {
				t.Errorf("exit code %d, the terminal shows what is typed: %v\n%s", code, x.echoes(t), x.screen())
			}
		})
	}
}

func TestWhoIsAskedLogsIn(t *testing.T) {
	g := listing(t)
	x := openTerminal(t)
	cmd := program(t, g, nil, "job", "list")
	x.start(t, cmd)
	x.await(t, "Email address", true)
	x.press(t, "anna@example.com\n")
	x.await(t, "Password for anna@example.com", false)
	x.press(t, "secret\n")
	if code := ended(t, cmd); code != 0 || strings.Join(g.entered(), " ") != "anna@example.com:secret" || !x.echoes(t) || strings.Contains(x.screen(), "secret") {
		t.Errorf("exit code %d, logins %q\n%s", code, g.entered(), x.screen())
	}
}

func TestWhoseTokenExpiresIsAskedAboveTheBars(t *testing.T) {
	g := converting(t)
	first := g.video(t, "login")
	if _, errs, code := run(t, first); code != 0 {
		t.Fatalf("login: exit code %d, %q", code, errs)
	}
	g.expireByUpload()
	x := openTerminal(t)
	if err := unix.IoctlSetWinsize(int(x.program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	cmd := program(t, g, nil, "convert", "a.mp4")
	cmd.Dir = first.Dir
	for _, v := range first.Env {
		if strings.HasPrefix(v, "HOME=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	x.start(t, cmd)
	x.await(t, "Password for anna@example.com:\r\n", false)
	x.press(t, "another\n")
	code := ended(t, cmd)
	if got := strings.Join(g.entered(), " "); code != 0 || got != "anna@example.com:secret anna@example.com:another" || g.times("POST /upload") != 1 ||
		!strings.Contains(files(t, cmd.Dir), "a.mp3:sound") || !x.echoes(t) {
		t.Errorf("exit code %d, logins %q, %d uploads\n%s", code, got, g.times("POST /upload"), x.screen())
	}
}
