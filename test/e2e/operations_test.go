//go:build e2e

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEachCommandOfTheOperationsDocWorks runs the commands of the chapter "On
// Kubernetes" one after another, as whoever reads it would.
func TestEachCommandOfTheOperationsDocWorks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(), "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, found := strings.Cut(string(text), "\n## On Kubernetes\n")
	if !found {
		t.Fatal("docs/operations.md has no chapter On Kubernetes")
	}
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	// Pods of two revisions have to find room on a node of two CPUs.
	eventually(t, "convert is at zero pods", zeroWithin, func() bool { return the.pods(t, "convert") == 0 })
	commands := 0
	for _, block := range blocks(chapter) {
		// Longer names first.
		script := strings.NewReplacer("audio-alchemist-events", the.events(), "audio-alchemist", the.namespace).Replace(block)
		cmd := exec.Command("bash", "-e", "-o", "pipefail", "-x", "-c", script)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "NAMESPACE="+the.namespace)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s\n%v\n%s", block, err, out)
		}
		commands += strings.Count("\n"+block, "\nkn ")
	}
	if commands < 25 {
		t.Errorf("only %d commands of kn were found", commands)
	}
	p := the.admin(t)
	p.done(t, p.upload(t, video(t, 1)).ID, zeroWithin)
}

// blocks returns the shell scripts of a text in Markdown.
func blocks(text string) []string {
	var all []string
	for {
		_, rest, found := strings.Cut(text, "\n```sh\n")
		if !found {
			return all
		}
		block, after, _ := strings.Cut(rest, "\n```\n")
		all, text = append(all, block), "\n"+after
	}
}
