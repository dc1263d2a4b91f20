package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

func names() map[string]http.Handler {
	handlers := map[string]http.Handler{}
	for _, name := range []string{"login", "upload", "jobs", "download"} {
		handlers[name] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "%s %s %s", name, r.Method, r.URL.RequestURI())
		})
	}
	return handlers
}

func ask(h http.Handler, method, path string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestEveryPathHasItsFunction(t *testing.T) {
	h := New(Deps{Routes: names()})
	for request, function := range map[string]string{
		"POST /login": "login", "POST /validate": "login", "POST /register": "login", "GET /.well-known/jwks.json": "login",
		"POST /upload": "upload", "GET /download?fid=1": "download", "HEAD /download?fid=1": "download",
		"GET /jobs?limit=5": "jobs", "GET /jobs/7": "jobs", "DELETE /jobs/7": "jobs", "GET /jobs/7/events": "jobs", "POST /jobs/7/retry": "jobs",
		"GET /users?limit=5": "login", "POST /users": "login", "PATCH /users/ada@example.com": "login", "PUT /users/7/password": "login",
		"GET /deadletters": "jobs", "DELETE /deadletters/7": "jobs", "POST /deadletters/7/replay": "jobs", "GET /status": "jobs",
	} {
		method, path, _ := strings.Cut(request, " ")
		response := ask(h, method, path)
		if body, _ := io.ReadAll(response.Body); string(body) != function+" "+request {
			t.Errorf("%s is answered by %q", request, body)
		}
	}
}

func TestOthersAreRefusedAsProblems(t *testing.T) {
	tests := map[string]struct {
		method, path string
		routes       map[string]http.Handler
		status       int
		allow        string
	}{
		"unknown path":      {"GET", "/admin", names(), 404, ""},
		"unknown asset":     {"GET", "/assets/none.js", names(), 404, ""},
		"the embed itself":  {"GET", "/page/index.html", names(), 404, ""},
		"below an asset":    {"GET", "/assets/../index.html/x", names(), 404, ""},
		"wrong method":      {"GET", "/login", names(), 405, "POST"},
		"one of several":    {"PUT", "/jobs/7", names(), 405, "DELETE, GET, HEAD"},
		"post to the page":  {"POST", "/", names(), 405, "GET, HEAD"},
		"no such function":  {"GET", "/jobs", nil, 503, ""},
		"an encoded escape": {"GET", "/assets/..%2findex.html", names(), 404, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			response := ask(New(Deps{Routes: tt.routes}), tt.method, tt.path)
			if response.StatusCode == http.StatusTemporaryRedirect || response.StatusCode == http.StatusMovedPermanently {
				response = ask(New(Deps{Routes: tt.routes}), tt.method, response.Header.Get("Location"))
			}
			var p web.Problem
			if err := json.NewDecoder(response.Body).Decode(&p); err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tt.status || p.Status != tt.status || response.Header.Get("Allow") != tt.allow {
				t.Errorf("got %d, Allow %q, %+v", response.StatusCode, response.Header.Get("Allow"), p)
			}
		})
	}
}

func TestThePageIsServedSafely(t *testing.T) {
	h := New(Deps{Routes: names()})
	for path, contentType := range map[string]string{
		"/": "text/html; charset=utf-8", "/assets/main.js": "text/javascript; charset=utf-8", "/assets/page.css": "text/css; charset=utf-8",
		"/assets/icon.svg": "image/svg+xml", "/openapi.yaml": "application/yaml",
	} {
		response := ask(h, "GET", path)
		if body, _ := io.ReadAll(response.Body); response.StatusCode != 200 || len(body) == 0 || response.Header.Get("Content-Type") != contentType {
			t.Errorf("%s: %d, %d bytes, %s", path, response.StatusCode, len(body), response.Header.Get("Content-Type"))
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-cache",
		} {
			if got := response.Header.Get(name); !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q, want %q in it", path, name, got, want)
			}
		}
		again := ask(h, "GET", path, "If-None-Match", response.Header.Get("ETag"))
		if body, _ := io.ReadAll(again.Body); again.StatusCode != 304 || len(body) > 0 {
			t.Errorf("%s asked for again: %d with %d bytes, want 304 with none", path, again.StatusCode, len(body))
		}
	}
}

func TestThePolicyAllowsNothingUnsafe(t *testing.T) {
	for _, no := range []string{"unsafe", "data:", "*", "http:", "https:"} {
		if strings.Contains(policy, no) {
			t.Errorf("the policy has %q", no)
		}
	}
}

func TestEveryEmbeddedFileIsOfAKnownTypeAndInUse(t *testing.T) {
	files := newSite().files
	all := ""
	for _, f := range files {
		all += string(f.body)
	}
	for name, f := range files {
		if f.contentType == "" {
			t.Errorf("%s has no content type", name)
		}
		base := name[strings.LastIndexByte(name, '/')+1:]
		if strings.HasPrefix(name, "page/assets/") && !strings.Contains(all, "/"+base) {
			t.Errorf("%s is not used", name)
		}
	}
	if found := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`).FindString(all); found != "" {
		t.Errorf("the page makes markup from text: %s", found)
	}
}
