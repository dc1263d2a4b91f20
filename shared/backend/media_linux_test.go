package backend

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain lets the test program be the one that starts on a kernel without
// Landlock.
func TestMain(m *testing.M) {
	if mode := os.Getenv("BACKEND_TEST_MEDIA_SANDBOX"); mode != "" {
		o := New(context.Background())
		o.Media("", "", mode)
		o.Media("", "", mode)
		if err := o.Err(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestAKernelWithoutLandlock starts under strace, which lets the system call
// fail as it does there.
func TestAKernelWithoutLandlock(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const missing = "NOT files by Landlock"
	without := []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=landlock_create_ruleset", "-e", "inject=landlock_create_ruleset:error=ENOSYS", "--"}
	for name, tt := range map[string]struct {
		mode   string
		under  []string
		fails  bool
		begins string
		says   string // once
	}{
		"here, auto":       {"auto", nil, false, "", ""},
		"here, require":    {"require", nil, false, "", ""},
		"without, auto":    {"auto", without, false, "", missing},
		"without, require": {"require", without, true, "MEDIA_SANDBOX: The sandbox is required", missing},
	} {
		t.Run(name, func(t *testing.T) {
			line := append(append([]string{}, tt.under...), self)
			cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
			cmd.Env = append(os.Environ(), "BACKEND_TEST_MEDIA_SANDBOX="+tt.mode)
			out, err := cmd.CombinedOutput()
			if (err != nil) != tt.fails || !strings.HasPrefix(string(out), tt.begins) {
				t.Errorf("%v: %s", err, out)
			}
			if tt.says == "" && len(out) > 0 || tt.says != "" && strings.Count(string(out), tt.says) != 1 {
				t.Errorf("it says %s", out)
			}
		})
	}
}
