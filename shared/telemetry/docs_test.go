package telemetry

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	promql    = regexp.MustCompile("(?s)```promql\n(.*?)```")
	metric    = regexp.MustCompile(`\b(?:http|alchemist)_[a-z_]+`)
	described = regexp.MustCompile(`fqName: "([a-z_]+)"`)
)

// TestOperationsNamesTheMetricsThatThereAre holds docs/operations.md to the
// code: every metric that it names is counted, and every one that is counted
// is named.
func TestOperationsNamesTheMetricsThatThereAre(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, watching, _ := strings.Cut(string(text), "\n## Watching it\n")
	watching, _, _ = strings.Cut(watching, "\n## ")
	if n := len(promql.FindAllString(watching, -1)); n != 5 {
		t.Errorf("%d queries, want 5", n)
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		newMetrics().registry.Describe(descs)
		close(descs)
	}()
	ours := map[string]bool{}
	for d := range descs {
		if name := described.FindStringSubmatch(d.String())[1]; metric.MatchString(name) {
			ours[name] = false
		}
	}
	for _, name := range metric.FindAllString(watching, -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); base != name {
				if _, histogram := ours[base]; histogram {
					name = base
				}
			}
		}
		if _, known := ours[name]; !known {
			t.Errorf("%s is not counted", name)
		}
		ours[name] = true
	}
	for name, told := range ours {
		if !told {
			t.Errorf("docs/operations.md does not tell of %s", name)
		}
	}
}
