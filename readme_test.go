package alchemist_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// section returns what stands under a heading of README.md, up to the next
// heading of the same level.
func section(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("README.md has no section %q", heading)
	}
	body, _, _ := strings.Cut(after, "\n## ")
	return body
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// blocks returns the code blocks of one language, in order.
func blocks(markdown, language string) []string {
	var all []string
	for _, m := range fence.FindAllStringSubmatch(markdown, -1) {
		if m[1] == language {
			all = append(all, m[2])
		}
	}
	return all
}

// follow runs the lines of a section of the README in a folder, against a
// started server, and looks for the answers that the README shows, where …
// stands for anything. first are lines to run before.
func follow(t *testing.T, heading string, s *server, dir, first string) {
	t.Helper()
	text := section(t, heading)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	script := strings.ReplaceAll(first+strings.Join(blocks(text, "bash"), ""), "http://127.0.0.1:8080", s.url)
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	shell.Dir = dir
	shell.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n--- of ---\n%s", err, out, script)
	}
	// Answers have no line break at their end.
	answered := strings.ReplaceAll(strings.ReplaceAll(string(out), "\r", ""), "}{", "}\n{")
	for _, shown := range strings.Split(strings.TrimSpace(strings.Join(blocks(text, "text"), "")), "\n") {
		pattern := "(?m)^" + strings.ReplaceAll(regexp.QuoteMeta(shown), "…", ".*") + "$"
		if !regexp.MustCompile(pattern).MatchString(answered) {
			t.Errorf("the README shows\n%s\nwhich is not in\n%s", shown, answered)
		}
	}
}

const readmePassword = "the password that was printed"

func startReadme(t *testing.T, dir string) *server {
	t.Helper()
	return start(t, embeddedIn(filepath.Join(dir, "data")), "ADMIN_EMAIL=admin@localhost", "ADMIN_PASSWORD="+readmePassword)
}

func TestReadmeOptions(t *testing.T) {
	dir := t.TempDir()
	s := startReadme(t, dir)
	walk := section(t, "Walk-through")
	follow(t, "Options", s, dir, strings.Join(blocks(walk, "sh"), "")+strings.Join(blocks(walk, "bash")[:2], ""))
	text := section(t, "Options")
	for _, name := range options.Names() {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the README does not tell of %s", name)
		}
	}
	c := s.login(t, "admin@localhost", readmePassword)
	status, body := c.call(t, http.MethodGet, "/jobs")
	jobs := decode[struct{ Jobs []job.View }](t, body).Jobs
	if status != http.StatusOK || len(jobs) != 2 || jobs[0].Options.Title != "Episode 7" {
		t.Fatalf("%d %s", status, body)
	}
	for i, results := range []int{1, 2} {
		if j := c.await(t, jobs[i].ID); j.State != job.Done || len(j.Results) != results {
			t.Errorf("job %+v", j)
		}
	}
}

func TestReadmeWalkThrough(t *testing.T) {
	walk := section(t, "Walk-through")
	if n := strings.Count(strings.Join(blocks(walk, "bash"), ""), "http://127.0.0.1:8080"); n < 10 {
		t.Fatalf("only %d calls in the walk-through", n)
	}
	dir := t.TempDir()
	s := startReadme(t, dir)
	follow(t, "Walk-through", s, dir, strings.Join(blocks(walk, "sh"), ""))
	for _, name := range []string{"talk.mp3", "linked.mp3"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if d := duration(t, content); d < 4.9 || d > 5.2 {
			t.Errorf("%s lasts %g s, want 5", name, d)
		}
	}
	if mails := s.mails(t); len(mails) != 1 || !strings.Contains(mails[0], "Subject: Ready: talk.mp4") {
		t.Errorf("mails: %q", mails)
	}
	if left := s.files(t, "blobs"); len(left) != 0 {
		t.Errorf("after the deletion there are %v", left)
	}
	c := s.login(t, "admin@localhost", readmePassword)
	if status, body := c.call(t, http.MethodGet, "/jobs"); status != http.StatusOK || !strings.HasPrefix(string(body), `{"jobs":[],`) {
		t.Errorf("after the deletion: %d %s", status, body)
	}
}

var variableRow = regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| (.+?) \\| .+ \\|$")

// TestReadmeNamesEveryVariable holds the table of the README to what package
// config reads, name by name and default by default.
func TestReadmeNamesEveryVariable(t *testing.T) {
	var read []string
	defaults, err := config.Load(func(name string) string {
		if !slices.Contains(read, name) {
			read = append(read, name)
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, row := range variableRow.FindAllStringSubmatch(section(t, "Configuration"), -1) {
		name, shown := row[1], row[2]
		told = append(told, name)
		value, quoted := strings.CutPrefix(shown, "`")
		if !quoted {
			continue // none, or in words
		}
		value = strings.ReplaceAll(strings.TrimSuffix(value, "`"), "DATA_DIR", defaults.DataDir)
		set, err := config.Load(func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		})
		if err != nil || !reflect.DeepEqual(set, defaults) {
			t.Errorf("%s: %s is not the default: %v", name, shown, err)
		}
	}
	slices.Sort(read)
	slices.Sort(told)
	if !slices.Equal(read, told) {
		t.Errorf("the README names\n%v\nconfig reads\n%v", told, read)
	}
}

var (
	required  = regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+) v\S+( // indirect)?$`)
	reasonRow = regexp.MustCompile("(?m)^\\| `(\\S+\\.\\S+/\\S+)` \\| .+ \\|$")
)

// TestEveryDependencyHasItsReason holds the list in docs/architecture.md to
// the direct dependencies of go.mod.
func TestEveryDependencyHasItsReason(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "\n## Dependencies\n")
	reasons := map[string]bool{}
	for _, row := range reasonRow.FindAllStringSubmatch(list, -1) {
		reasons[row[1]] = true
	}
	for _, m := range required.FindAllStringSubmatch(string(mod), -1) {
		if direct := m[2] == ""; direct && !reasons[m[1]] {
			t.Errorf("docs/architecture.md gives no reason for %s", m[1])
		}
		delete(reasons, m[1])
	}
	for module := range reasons {
		t.Errorf("docs/architecture.md gives a reason for %s, which is not in go.mod", module)
	}
}
