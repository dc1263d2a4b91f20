package apitest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// recorder keeps what a Validator reports.
type recorder struct{ reports []string }

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.reports = append(r.reports, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...) }

func description(t *testing.T) []byte {
	t.Helper()
	body, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return body
}

const (
	goodJob = `{"id":"01936f2e-4b5a-7cc3-98c4-dc0c0c07398f","name":"a.mp4","state":"queued","progress":0,` +
		`"created_at":"2026-01-02T03:04:05.006Z","updated_at":"2026-01-02T03:04:05.006Z","error":null,"options":{},"results":[]}`
	jobPath = "/jobs/01936f2e-4b5a-7cc3-98c4-dc0c0c07398f"
	problem = `{"type":"about:blank","title":"x","status":401,"detail":"x"}`
)

func TestValidator(t *testing.T) {
	asJSON := map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store"}
	asProblem := map[string]string{"Content-Type": "application/problem+json"}
	with := func(h map[string]string, name, value string) map[string]string {
		out := maps.Clone(h)
		out[name] = value
		return out
	}
	tests := map[string]struct {
		method, path string
		wrong        bool
		status       int
		header       map[string]string
		body         string
		want         string // part of the only report; empty for none
	}{
		"a good answer":               {"GET", jobPath, false, 200, asJSON, goodJob, ""},
		"a wrong body":                {"GET", jobPath, false, 200, asJSON, strings.Replace(goodJob, "queued", "asleep", 1), "state"},
		"a body that is no JSON":      {"GET", jobPath, false, 200, asJSON, "oops", "response"},
		"a field nobody described":    {"GET", jobPath, false, 200, asJSON, strings.Replace(goodJob, `"error"`, `"owner":"1","error"`, 1), "owner"},
		"a time that is none":         {"GET", jobPath, false, 200, asJSON, strings.Replace(goodJob, "2026-01-02T03:04:05.006Z", "yesterday", 1), "date-time"},
		"an undocumented status":      {"GET", jobPath, false, 402, asProblem, problem, "402"},
		"another content type":        {"GET", jobPath, false, 200, with(asJSON, "Content-Type", "text/html"), "<p>", "text/html"},
		"a missing header":            {"POST", jobPath + "/retry", false, 202, asJSON, goodJob, "Location"},
		"a header that is wrong":      {"POST", jobPath + "/retry", false, 202, with(asJSON, "Location", "/else"), goodJob, "/else"},
		"an error without challenge":  {"GET", jobPath, false, 401, asProblem, problem, "WWW-Authenticate"},
		"an error with challenge":     {"GET", jobPath, false, 401, with(asProblem, "WWW-Authenticate", `Bearer realm="x"`), problem, ""},
		"a body where there is none":  {"DELETE", jobPath, false, 204, nil, "", ""},
		"a wrong parameter":           {"GET", "/jobs?limit=0", false, 400, asProblem, problem, "limit"},
		"wrong on purpose":            {"GET", "/jobs?limit=0", true, 400, asProblem, problem, ""},
		"an address nobody described": {"GET", "/else", false, 404, asProblem, problem, "not in the description"},
		"the same on purpose":         {"GET", "/else", true, 404, asProblem, problem, ""},
		"and answered all the same":   {"GET", "/else", true, 200, asJSON, "{}", "want a problem 404"},
		"a method, on purpose":        {"PUT", "/jobs", true, 405, with(asProblem, "Allow", "GET, HEAD"), problem, ""},
		"a method, without Allow":     {"PUT", "/jobs", true, 405, asProblem, problem, "Allow"},
		"a page without policy":       {"GET", "/", false, 200, map[string]string{"Content-Type": "text/html", "Cache-Control": "no-cache", "ETag": `"1"`}, "<p>", "Content-Security-Policy"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range tt.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer srv.Close()
			var r recorder
			v := New(&r, description(t))
			ctx := t.Context()
			if tt.wrong {
				ctx = Wrong(ctx)
			}
			body := do(t, v, ctx, tt.method, srv.URL+tt.path)
			if body != tt.body {
				t.Errorf("the caller read %q, want %q", body, tt.body)
			}
			if tt.want == "" && len(r.reports) > 0 || tt.want != "" && (len(r.reports) == 0 || !strings.Contains(strings.Join(r.reports, "\n"), tt.want)) {
				t.Errorf("reports %q, want one about %q", r.reports, tt.want)
			}
		})
	}
}

func do(t *testing.T, v *Validator, ctx context.Context, method, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer x")
	response, err := (&http.Client{Transport: v}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestStreamsPassThroughUnread(t *testing.T) {
	more := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 5)
		_, _ = io.ReadFull(r.Body, first)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, ": "+string(first)+"\n")
		_ = http.NewResponseController(w).Flush()
		<-more
	}))
	defer srv.Close()
	defer close(more)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+jobPath+"/events", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer x")
	response, err := (&http.Client{Transport: New(t, description(t))}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	line := make([]byte, 8)
	if _, err := io.ReadFull(response.Body, line); err != nil || string(line) != ": hello\n" {
		t.Errorf("the first line is %q, %v", line, err)
	}
}

func TestADescriptionThatIsNotValidIsRefused(t *testing.T) {
	var r recorder
	New(&r, []byte("openapi: 3.1.0\ninfo: {title: x}\npaths: {}\n"))
	if len(r.reports) == 0 {
		t.Error("a description without a version was taken")
	}
}
