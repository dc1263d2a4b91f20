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
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bin, record := t.TempDir(), filepath.Join(t.TempDir(), "record")
			for program, script := range tt.programs {
				if err := os.WriteFile(filepath.Join(bin, program), []byte(strings.Replace(script, "/bin/sh", sh, 1)), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), sh, "tools/need", "ffmpeg", "chromium")
			cmd.Env = []string{"PATH=" + bin, "RECORD=" + record}
			out, err := cmd.CombinedOutput()
			if (err != nil) != tt.fails || !strings.Contains(string(out), tt.says) {
				t.Errorf("error %v, want %v and %q in:\n%s", err, tt.fails, tt.says, out)
			}
			calls, _ := os.ReadFile(record)
			lines := strings.Split(strings.TrimSpace(string(calls)), "\n")
			if last := lines[len(lines)-1]; last != tt.runs {
				t.Errorf("ran %q, want %q", last, tt.runs)
			}
		})
	}
}
