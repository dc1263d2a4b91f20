package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// asProgram is the variable that makes the program of the tests the plugin.
const asProgram = "ALCHEMIST_TEST_PROGRAM"

// gateway stands for a system whose tokens are t1, t2 and so on: what it was
// asked for, and a handler for each path, "METHOD /path", behind the token.
type gateway struct {
	url string

	mu      sync.Mutex
	asked   []string
	logins  []string // EMAIL:PASSWORD
	expired bool     // the last token is
	paths   map[string]http.HandlerFunc
}

func serve(t *testing.T, paths map[string]http.HandlerFunc) *gateway {
	t.Helper()
	g := &gateway{paths: paths}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	g.url = s.URL
	return g
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what := r.Method + " " + r.URL.Path
	h, refused := g.look(r, what)
	switch {
	case refused:
		http.Error(w, `{"detail":"This login has expired; log in again."}`, http.StatusUnauthorized)
	case h != nil:
		h(w, r)
	default:
		http.Error(w, `{"detail":"There is no such thing."}`, http.StatusNotFound)
	}
}

func (g *gateway) look(r *http.Request, what string) (h http.HandlerFunc, refused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if email, password, ok := r.BasicAuth(); ok {
		g.logins = append(g.logins, email+":"+password)
		g.expired = false
		return answer(fmt.Sprintf(`{"access_token":"t%d","expires_in":3600}`, len(g.logins))), false
	}
	g.asked = append(g.asked, what)
	if r.URL.Path != "/readyz" && (g.expired || r.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", len(g.logins))) {
		return nil, true
	}
	return g.paths[what], false
}

// on sets the handler of a path.
func (g *gateway) on(what string, h http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paths[what] = h
}

// entered are the logins so far.
func (g *gateway) entered() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.logins)
}

// expire ends the last token.
func (g *gateway) expire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expired = true
}

// times is how often something was asked for.
func (g *gateway) times(what string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(g.asked), func(s string) bool { return s != what }))
}

func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// program is the plugin as a program of its own, for somebody whose home is
// new, with more variables.
func program(t *testing.T, g *gateway, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{asProgram + "=1", "PATH=", "HOME=" + t.TempDir(), "ALCHEMIST_URL=" + g.url}, env...)
	return cmd
}

// run returns what a program prints and exits with.
func run(t *testing.T, cmd *exec.Cmd) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

var anna = []string{"ALCHEMIST_EMAIL=anna@example.com", "ALCHEMIST_PASSWORD=secret"}

// with is a list with more at its end.
func with(list []string, more ...string) []string { return append(slices.Clone(list), more...) }

func lines(s string) int { return strings.Count(s, "\n") }
