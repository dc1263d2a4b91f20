package alchemist_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

const module = "github.com/opengundumstyle/audio-alchemist"

// imports returns, for each package of the module, what of the module its
// code (without tests) imports directly, both by their path below the module.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		name = strings.TrimPrefix(name, "/")
		all[name] = []string{}
		for _, i := range p.Imports {
			if i, ours := strings.CutPrefix(i, module); ours {
				all[name] = append(all[name], strings.TrimPrefix(i, "/"))
			}
		}
	}
}

// TestImportRule holds the layering: functions do not know one another nor
// where their stores come from, and the packages at the bottom know nothing
// but the kinds of error.
func TestImportRule(t *testing.T) {
	within := func(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }
	composes := func(p string) bool {
		return p == "" || within(p, "cmd") || within(p, "compose") || within(p, "test")
	}
	all := imports(t)
	if len(all) < 20 {
		t.Fatalf("only %d packages found", len(all))
	}
	for p, imports := range all {
		for _, i := range imports {
			if strings.HasPrefix(p, "functions/") && strings.HasPrefix(i, "functions/") && !within(i, functionOf(p)) && p != "functions/internal/fixture" {
				t.Errorf("%s imports %s: a function imports no other function", p, i)
			}
			if (within(i, "shared/backend") || i == "shared/config") && !composes(p) && !within(p, "shared/backend") {
				t.Errorf("%s imports %s: only the composition root, the mains and tests do", p, i)
			}
			if within(i, "shared/broker") && !composes(p) && !within(p, "shared/broker") && p != "shared/backend/queue" {
				t.Errorf("%s imports %s: functions know no broker", p, i)
			}
			for _, low := range []string{"job", "event", "user", "blob", "media", "mail", "token", "options"} {
				asked := i == "shared/options" && (low == "job" || low == "media")
				if low := "shared/" + low; within(p, low) && i != "shared/fail" && !within(i, low) && !asked {
					t.Errorf("%s imports %s: of ours it imports shared/fail, and job and media shared/options, alone", p, i)
				}
			}
		}
		if (p == "shared/config" || p == "shared/fail") && len(imports) > 0 {
			t.Errorf("%s imports %v: it imports nothing of ours", p, imports)
		}
	}
}

func functionOf(p string) string {
	parts := strings.Split(p, "/")
	return path.Join(parts[:min(2, len(parts))]...)
}

// TestAProgramLinksItsFunctionAlone holds that what only one function may do
// is not even in the program of another one.
func TestAProgramLinksItsFunctionAlone(t *testing.T) {
	want := map[string][]string{"kn-alchemist": nil} // which speaks HTTP as everybody does
	for _, name := range config.Functions() {
		want[name] = []string{name}
	}
	for name, want := range want {
		out, err := exec.Command("go", "list", "-deps", "./cmd/"+name).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var linked []string
		for p := range strings.Lines(string(out)) {
			p = strings.TrimSpace(p)
			if f, ours := strings.CutPrefix(p, module+"/functions/"); ours {
				linked = append(linked, f)
			}
			if strings.HasPrefix(p, module+"/shared/broker") || strings.HasPrefix(p, "google.golang.org/grpc") {
				t.Errorf("cmd/%s links %s, which only makes it larger", name, p)
			}
		}
		if !slices.Equal(linked, want) {
			t.Errorf("cmd/%s links the functions %v", name, linked)
		}
	}
}

// TestOnlyLoginCanSign holds that no other function is handed an issuer of
// tokens.
func TestOnlyLoginCanSign(t *testing.T) {
	for folder, name := range map[string]string{"functions": "token.Issuer", "compose": ".Issuer("} {
		onlyLoginNames(t, folder, name)
	}
}

func onlyLoginNames(t *testing.T, folder, name string) {
	t.Helper()
	found := false
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.HasPrefix(path, "functions/internal/fixture/") {
			return err
		}
		code, err := os.ReadFile(path)
		if err == nil && bytes.Contains(code, []byte(name)) {
			found = true
			if filepath.Dir(path) != folder+"/login" {
				t.Errorf("%s names %s", path, name)
			}
		}
		return err
	})
	if err != nil || !found {
		t.Errorf("looked for %s below %s: found %v, %v", name, folder, found, err)
	}
}
