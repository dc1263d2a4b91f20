package docs

import (
	"slices"
	"testing"
)

func TestBlocks(t *testing.T) {
	const text = "# A\n```sh\nbefore\n```\n## B\n```sh\n# no heading\none\n```\n### below\nwords\n```sql\ntwo\n```\n\n```sh\nthree\n```\n## C\n```sh\nafter\n```\n"
	for name, tt := range map[string]struct {
		heading, language string
		want              []string
	}{
		"with what is below it": {"B", "sh", []string{"# no heading\none\n", "three\n"}},
		"of another language":   {"B", "sql", []string{"two\n"}},
		"the last":              {"C", "sh", []string{"after\n"}},
		"no such language":      {"C", "sql", nil},
		"no such heading":       {"no heading", "sh", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := blocks(text, tt.heading, tt.language); !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	if got := Blocks(t, "docs/operations.md", "URLs and accounts", "sql"); len(got) != 1 {
		t.Errorf("%q", got)
	}
}
