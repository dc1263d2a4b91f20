package api

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// guarded is a gateway that takes only the token t2, and what it was asked.
type guarded struct {
	mu    sync.Mutex
	asked []string
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // as a proxy does that hands on no 100
	auth := r.Header.Get("Authorization")
	g.mu.Lock()
	g.asked = append(g.asked, auth+" "+r.Method+" "+r.URL.Path)
	g.mu.Unlock()
	switch {
	case auth != "Bearer t2":
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"detail":"This login has expired; log in again."}`)
	case strings.HasSuffix(r.URL.Path, "/events"):
		_, _ = io.WriteString(w, "event: job\ndata: {\"id\":\"7\",\"state\":\"done\"}\n\n")
	case r.URL.Path == "/download":
		_, _ = io.WriteString(w, "sound")
	default:
		_, _ = io.WriteString(w, `{"id":"7","state":"queued"}`)
	}
}

func TestARefusedRequestAloneIsRepeatedWithANewToken(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for name, tt := range map[string]struct {
		do   func(*Client) error
		asks string
	}{
		"a call": {func(c *Client) error { return c.Delete(t.Context(), "7") }, "DELETE /jobs/7"},
		"a call with a body": {func(c *Client) error {
			_, err := c.AddUser(t.Context(), "anna@example.com", "", false)
			return err
		}, "POST /users"},
		"an upload": {func(c *Client) error {
			_, err := c.Upload(t.Context(), "a.mp4", strings.NewReader("video"), 5, nil, func(int64) {})
			return err
		}, "POST /upload"},
		"following": {func(c *Client) error {
			_, err := c.Follow(t.Context(), "7", func(job.View) {})
			return err
		}, "GET /jobs/7/events"},
		"a download": {func(c *Client) error {
			return c.Download(t.Context(), job.ResultView{FID: "5", Bytes: 5}, file, func(int64) {})
		}, "GET /download"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guarded{}
			c, _ := serve(t, g.ServeHTTP)
			renewals := 0
			c.Authorize("t1", func(context.Context) (string, error) { renewals++; return "t2", nil })
			for range 2 {
				if err := tt.do(c); err != nil {
					t.Error(err)
				}
				if err := file.Truncate(0); err != nil {
					t.Fatal(err)
				}
			}
			want := "Bearer t1 " + tt.asks + ", Bearer t2 " + tt.asks + ", Bearer t2 " + tt.asks
			if got := strings.Join(g.asked, ", "); got != want || renewals != 1 {
				t.Errorf("asked %s after %d renewals, want %s", got, renewals, want)
			}
		})
	}
}

func TestRequestsThatAreRefusedTogetherLogInOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		token string
		fails error
		calls int32
		kind  fail.Kind
	}{
		"a new token":         {"t2", nil, 1, fail.Internal},
		"one that is refused": {"t3", nil, 1, fail.Unauthorized},
		"none":                {"", fail.New(fail.Forbidden, "This account is disabled."), 1, fail.Forbidden},
		"none for now":        {"", fail.New(fail.Unavailable, "Away."), 5, fail.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var together sync.WaitGroup
			together.Add(5)
			g := &guarded{}
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "Bearer t1" {
					together.Done()
					together.Wait()
				}
				g.ServeHTTP(w, r)
			})
			var calls atomic.Int32
			c.Authorize("t1", func(context.Context) (string, error) { calls.Add(1); return tt.token, tt.fails })
			var all sync.WaitGroup
			errs := make([]error, 5)
			for i := range errs {
				all.Go(func() { errs[i] = c.Delete(t.Context(), "7") })
			}
			all.Wait()
			for _, err := range errs {
				if tt.token == "t2" && err != nil || tt.token != "t2" && !fail.Is(err, tt.kind) {
					t.Error(err)
				}
			}
			if calls.Load() != tt.calls {
				t.Errorf("logged in %d times, want %d", calls.Load(), tt.calls)
			}
		})
	}
}

func TestWithoutAWayToANewTokenARefusalStays(t *testing.T) {
	g := &guarded{}
	c, _ := serve(t, g.ServeHTTP)
	if err := c.Validate(t.Context()); !fail.Is(err, fail.Unauthorized) || len(g.asked) != 1 {
		t.Errorf("%v after %v", err, g.asked)
	}
}
