// Package docs reads the documents of this repository, for tests that do what
// they say.
package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Blocks returns the code blocks of a language that stand under a heading of a
// document, down to the next heading that is not below it. The document is
// named by its path in the repository, the heading by its text. It fails the
// test where there is none.
func Blocks(t testing.TB, document, heading, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), filepath.FromSlash(document)))
	if err != nil {
		t.Fatal(err)
	}
	all := blocks(string(text), heading, language)
	if len(all) == 0 {
		t.Fatalf("%s has no block of %s under the heading %q", document, language, heading)
	}
	return all
}

// Root is the folder of the repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("the test is not in a module")
		}
	}
}

func blocks(text, heading, language string) (all []string) {
	const fence = "```"
	var block strings.Builder
	level, in := 0, "" // of the heading, 0 while it has not come; the fence that a block began with
	for line := range strings.Lines(text) {
		bare := strings.TrimSpace(line)
		switch n := depth(line); {
		case in != "" && bare == fence:
			if level > 0 && in == fence+language {
				all = append(all, block.String())
			}
			in = ""
			block.Reset()
		case in != "":
			block.WriteString(line)
		case strings.HasPrefix(bare, fence):
			in = bare
		case n > 0 && level > 0 && n <= level:
			return all
		case n > 0 && level == 0 && strings.TrimSpace(line[n:]) == heading:
			level = n
		}
	}
	return all
}

// depth is the level of a heading, 0 for any other line.
func depth(line string) int {
	n := len(line) - len(strings.TrimLeft(line, "#"))
	if !strings.HasPrefix(line[n:], " ") {
		return 0
	}
	return n
}
