package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// serve starts a server that stands for a gateway that is in trouble, and
// returns a client of it.
func serve(t *testing.T, h http.HandlerFunc) (*Client, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	c.Authorize("t1", nil)
	return c, s
}

func TestADownloadGoesOnWhereItBroke(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 1000)
	var ranges []string
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		at := 0
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &at); err == nil {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)-at))
			w.WriteHeader(http.StatusPartialContent)
		} else {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		}
		_, _ = w.Write(content[at:min(at+4000, len(content))])
	})
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var last int64
	err = c.Download(t.Context(), job.ResultView{FID: "5", Bytes: int64(len(content))}, f, func(n int64) { last = n })
	got, _ := os.ReadFile(f.Name())
	if err != nil || !bytes.Equal(got, content) || last != int64(len(content)) || strings.Join(ranges, " ") != " bytes=4000- bytes=8000-" {
		t.Errorf("%d bytes, told %d, ranges %q, %v", len(got), last, ranges, err)
	}
	if err := c.Download(t.Context(), job.ResultView{FID: "5", Bytes: 7}, f, func(int64) {}); !fail.Is(err, fail.Internal) {
		t.Errorf("of another length: %v", err)
	}
}

func TestFollowGoesOnUntilTheJobHasEnded(t *testing.T) {
	answers := []string{
		"event: job\ndata: {\"id\":\"7\",\"state\":\"queued\"}\n\n", "",
		": still there\n\nevent: job\ndata: {\"id\":\"7\",\"state\":\"converting\",\"progress\":50}\n\nevent: job\ndata: {\"id\":\"7\",\"state\":\"done\",\"progress\":100}\n\n",
	}
	var n atomic.Int32
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer := answers[n.Add(1)-1]
		if answer == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, answer)
	})
	var states []string
	j, err := c.Follow(t.Context(), "7", func(j job.View) { states = append(states, string(j.State)) })
	if err != nil || j.State != job.Done || strings.Join(states, " ") != "queued converting done" {
		t.Errorf("%+v, %v, told %v", j, err, states)
	}
}

func TestFollowEndsWithTheJob(t *testing.T) {
	deleted, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "event: deleted\ndata: {}\n\n")
	})
	if _, err := deleted.Follow(t.Context(), "7", func(job.View) {}); !fail.Is(err, fail.NotFound) {
		t.Errorf("deleted: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	endless, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "event: job\ndata: {\"id\":\"7\",\"state\":\"queued\"}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	if _, err := endless.Follow(ctx, "7", func(job.View) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestARefusalIsToldBeforeTheFile has a server that would read for ever, were
// it sent anything.
func TestARefusalIsToldBeforeTheFile(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"detail":"This login has expired; log in again."}`)
	})
	sent := int64(0)
	_, err := c.Upload(t.Context(), "a.mp4", strings.NewReader(strings.Repeat("x", 1<<20)), 1<<20, nil, func(n int64) { sent = n })
	if !fail.Is(err, fail.Unauthorized) || sent != 0 || err.Error() != "This login has expired; log in again." {
		t.Errorf("%v after %d bytes", err, sent)
	}
}

func TestAnUploadIsOneFormOfAKnownLength(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 20); err != nil || r.ContentLength < 5 {
			t.Errorf("%v, length %d", err, r.ContentLength)
		}
		f, head, err := r.FormFile("file")
		if err != nil {
			t.Error(err)
			return
		}
		content, _ := io.ReadAll(f)
		if head.Filename != `Füße "live" 🎬.mp4` || string(content) != "video" || r.FormValue("format") != "mp3" || len(r.Form) != 1 {
			t.Errorf("file %q %q, form %v", head.Filename, content, r.Form)
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"id":"7","state":"queued"}`)
	})
	j, err := c.Upload(t.Context(), `Füße "live" 🎬.mp4`, strings.NewReader("video"), 5, map[string]string{"format": "mp3", "title": ""}, func(int64) {})
	if err != nil || j.ID != "7" {
		t.Errorf("%+v, %v", j, err)
	}
}

func TestTheIngressIsConnectedToAndTheHostStays(t *testing.T) {
	var host string
	_, s := serve(t, func(_ http.ResponseWriter, r *http.Request) { host = r.Host })
	at, _ := url.Parse(s.URL)
	c, err := New("http://gateway.example.invalid:81/", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ready(t.Context()); err != nil || host != "gateway.example.invalid:81" {
		t.Errorf("host %q, %v", host, err)
	}
}

func TestATokenGoesToNoOtherHost(t *testing.T) {
	var stolen atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Store(true) }))
	defer other.Close()
	there := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, there, http.StatusTemporaryRedirect) })
	if err := c.Validate(t.Context()); err == nil || stolen.Load() {
		t.Errorf("redirected to another host: %v", err)
	}
}

func TestErrorsSayWhatTheServerSaid(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		kind   fail.Kind
		says   string
	}{
		"a problem":            {404, `{"detail":"There is no such job."}`, fail.NotFound, "There is no such job."},
		"a proxy's page":       {502, "<html>Bad Gateway</html>", fail.Unavailable, "502 Bad Gateway"},
		"a status of no sense": {418, "", fail.Internal, "418"},
		"not our JSON":         {200, "<html>", fail.Internal, "does not answer as Audio-Alchemist"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			if _, err := c.Job(t.Context(), "7"); !fail.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v", err)
			}
		})
	}
	c, s := serve(t, nil)
	s.Close()
	if _, err := c.Job(t.Context(), "7"); !fail.Is(err, fail.Unavailable) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("of nobody: %v", err)
	}
}

func TestAddressesThatCannotBeRight(t *testing.T) {
	for _, address := range []string{"", "gateway", "ftp://gateway", "http://", "http://user:secret@gateway", "http://%"} {
		if _, err := New(address, ""); !fail.Is(err, fail.Invalid) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := New("http://gateway", "10.0.0.1"); !fail.Is(err, fail.Invalid) {
		t.Errorf("an ingress without a port: %v", err)
	}
}

func TestLoginTellsUntilWhenTheTokenIsValid(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if email, password, ok := r.BasicAuth(); !ok || email != "anna@example.com" || password != "pass wörd" {
			t.Errorf("credentials %q, %q", email, password)
		}
		_, _ = io.WriteString(w, `{"access_token":"t2","token_type":"Bearer","expires_in":60}`)
	})
	c.Authorize("", nil)
	s, err := c.Login(t.Context(), "anna@example.com", "pass wörd")
	if left := time.Until(s.Expires); err != nil || s.Token != "t2" || left > time.Minute || left < 30*time.Second || c.tokens.current() != "" {
		t.Errorf("%+v, %v", s, err)
	}
}
