package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

// knows puts a kn into a new folder that lists services with their addresses
// below a domain, all ready but one, and returns the variables that lead there.
func knows(t *testing.T, domain, broken string, names ...string) []string {
	t.Helper()
	var list struct {
		Items []any `json:"items"`
	}
	for _, name := range names {
		ready := map[bool]string{true: "False", false: "True"}[name == broken]
		list.Items = append(list.Items, map[string]any{
			"metadata": map[string]any{"name": name},
			"status": map[string]any{
				"url": "http://" + name + domain, "conditions": []any{map[string]any{"type": "Ready", "status": ready, "reason": "RevisionFailed", "message": "no such image"}},
			},
		})
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "services.json"), string(text))
	return kn(t, dir, "cat "+filepath.Join(dir, "services.json"))
}

func kn(t *testing.T, dir, script string) []string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "kn"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{"KUBECONFIG=x", "PATH=" + dir + ":" + os.Getenv("PATH")}
}

func TestStatusTellsOfFunctionsOnlyWhatItKnows(t *testing.T) {
	together := strings.Join(config.Functions(), ", ")
	elsewhere := func(t *testing.T, broken string) []string {
		t.Helper()
		return knows(t, ".audio-alchemist.kn.test", broken, config.Functions()...)
	}
	for name, tt := range map[string]struct {
		together string // what /readyz names
		ready    int    // its status
		env      func(*testing.T) []string
		code     int
		shows    string // a row, as a regular expression
		says     string // on stderr
	}{
		"all in one":              {together, 200, nil, 0, `all in one +ready`, ""},
		"all in one, not ready":   {together, 503, nil, 1, `all in one +not ready: The ledger is away\.`, "all in one is not ready"},
		"all in one, and another": {together, 200, func(t *testing.T) []string { return elsewhere(t, "convert") }, 0, `all in one +ready`, ""},
		"a gateway, and no kn":    {"", 200, nil, 1, `other functions +not checked: That takes kn`, "were not checked"},
		"a gateway by another address": {"", 200, func(t *testing.T) []string { return elsewhere(t, "") }, 0,
			`convert +ready`, "whose gateway is http://gateway.audio-alchemist.kn.test"},
		"and a function not ready": {"", 200, func(t *testing.T) []string { return elsewhere(t, "convert") }, 1,
			`convert +not ready: RevisionFailed: no such image`, "convert is not ready"},
		"a context without a gateway": {"", 200, func(t *testing.T) []string { return knows(t, ".kn.test", "", "convert") }, 1,
			`other functions +not checked: The current kube context has no service gateway`, "--namespace"},
		"a context that is away": {"", 200, func(t *testing.T) []string { return kn(t, t.TempDir(), "echo Error: no route >&2; exit 1") }, 1,
			`gateway +ready\nother functions +not checked: kn service list: no route`, "were not checked"},
		"what is not ready at all": {"", 503, nil, 1, `system +not ready`, "system is not ready"},
	} {
		t.Run(name, func(t *testing.T) {
			g := serve(t, map[string]http.HandlerFunc{
				"GET /status": answer(`{"stores":{"ledger":{"usable":true},"blobs":{"usable":true}},"jobs":{},"notices":{"count":0},"deadletters":{"count":0}}`),
				"GET /readyz": func(w http.ResponseWriter, _ *http.Request) {
					if tt.together != "" {
						w.Header().Set("Alchemist-Functions", tt.together)
					}
					w.WriteHeader(tt.ready)
					_, _ = fmt.Fprint(w, `{"detail":"The ledger is away."}`)
				},
			})
			env := anna
			if tt.env != nil {
				env = with(anna, tt.env(t)...)
			}
			out, errs, code := run(t, program(t, g, env, "status"))
			if code != tt.code || !regexp.MustCompile(`(?m)^(`+tt.shows+`)`).MatchString(out) || !strings.Contains(errs, tt.says) || !strings.Contains(out, "dead letters") {
				t.Errorf("exit code %d, %q\n%s", code, errs, out)
			}
		})
	}
}

// TestKnAnswersForTheFunctionsOfItsGateway has an address that is the one of
// its service.
func TestKnAnswersForTheFunctionsOfItsGateway(t *testing.T) {
	g := serve(t, map[string]http.HandlerFunc{"GET /status": answer(`{"stores":{"ledger":{"usable":true},"blobs":{"usable":true}}}`)})
	at := strings.TrimPrefix(g.url, "http://")
	env := with(anna, knows(t, ".kn.test", "", config.Functions()...)...)
	out, errs, code := run(t, program(t, g, env, "--url", "http://gateway.kn.test", "--ingress", at, "status"))
	if code != 0 || errs != "" || !strings.Contains(out, "reconcile") || g.times("GET /readyz") != 0 {
		t.Errorf("exit code %d, %q\n%s", code, errs, out)
	}
}
