package alchemist_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNeedInstallsOrNamesTheCommand runs tools/need where a program is
// missing, over package managers that only write down what they are told.
func TestNeedInstallsOrNamesTheCommand(t *testing.T) {
	recorder := "#!/bin/sh\necho \"${0##*/} $*\" >>\"$RECORD\"\n"
	sudo := "#!/bin/sh\necho \"sudo $*\" >>\"$RECORD\"\n"
	root, user := "#!/bin/sh\necho 0\n", "#!/bin/sh\necho 1000\n"
	tests := map[string]struct {
		programs map[string]string
		fails    bool
		says     string // on standard error
		runs     string // the last call of a package manager
	}{
		"nothing missing":           {map[string]string{"ffmpeg": recorder, "chromium": recorder}, false, "", ""},
		"apt-get as root":           {map[string]string{"apt-get": recorder, "id": root}, false, "installing: ffmpeg chromium", "apt-get -qq install -y ffmpeg chromium"},
		"apt-get by sudo":           {map[string]string{"apt-get": recorder, "id": user, "sudo": sudo}, false, "installing: ffmpeg chromium", "sudo apt-get -qq install -y ffmpeg chromium"},
		"apt-get with no way to it": {map[string]string{"apt-get": recorder, "id": user}, true, "install with: sudo apt-get update && sudo apt-get install -y ffmpeg chromium", ""},
		"apt-get fails":             {map[string]string{"apt-get": "#!/bin/sh\nexit 100\n", "id": root}, true, "install with: sudo apt-get", ""},
		"one of two is there":       {map[string]string{"ffmpeg": recorder, "apt-get": recorder, "id": root}, false, "installing: chromium", "apt-get -qq install -y chromium"},
		"brew":                      {map[string]string{"brew": recorder}, false, "installing: ffmpeg chromium", "brew install ffmpeg chromium"},
		"no package manager":        {map[string]string{}, true, "packages: ffmpeg chromium", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, last, err := need(t, tt.programs, "ffmpeg", "chromium")
			if (err != nil) != tt.fails || !strings.Contains(out, tt.says) {
				t.Errorf("error %v, want %v and %q in:\n%s", err, tt.fails, tt.says, out)
			}
			if last != tt.runs {
				t.Errorf("ran %q, want %q", last, tt.runs)
			}
		})
	}
	for manager, want := range map[string]string{
		"apt-get": "apt-get -qq install -y mariadb-server rabbitmq-server sqlite3", "brew": "brew install mariadb rabbitmq sqlite",
	} {
		t.Run("other names by "+manager, func(t *testing.T) {
			if out, last, err := need(t, map[string]string{manager: recorder, "id": root}, "mariadbd", "rabbitmq-server", "sqlite3"); err != nil || last != want {
				t.Errorf("error %v, ran %q, want %q:\n%s", err, last, want, out)
			}
		})
	}
}

// need runs tools/need where nothing is installed but the programs given, and
// returns what it prints and the last call of a package manager.
func need(t *testing.T, programs map[string]string, missing ...string) (out, last string, err error) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	bin, record := t.TempDir(), filepath.Join(t.TempDir(), "record")
	for program, script := range programs {
		if err := os.WriteFile(filepath.Join(bin, program), []byte(strings.Replace(script, "/bin/sh", sh, 1)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), sh, append([]string{"tools/need"}, missing...)...)
	cmd.Env = []string{"PATH=" + bin, "SBIN=", "RECORD=" + record}
	printed, err := cmd.CombinedOutput()
	calls, _ := os.ReadFile(record)
	lines := strings.Split(strings.TrimSpace(string(calls)), "\n")
	return string(printed), lines[len(lines)-1], err
}
