package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// within bounds what would otherwise hang a test that fails.
const within = 10 * time.Second

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

// proxied serves a Proxy in front of the handler and returns both addresses.
func proxied(t *testing.T, h http.HandlerFunc) (front, behind string) {
	t.Helper()
	behind = serve(t, h)
	target, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, Proxy(target)), behind
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(within):
		t.Fatalf("%s: nothing within %v", what, within)
		panic("unreachable")
	}
}

func post(t *testing.T, ctx context.Context, address string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{ExpectContinueTimeout: within}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestProxyStreamsUploads(t *testing.T) {
	arrived := make(chan string, 1)
	front, _ := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 5)
		_, _ = io.ReadFull(r.Body, first)
		arrived <- string(first)
		rest, err := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s|%v", rest, err)
	})
	read, write := io.Pipe()
	go func() {
		_, _ = io.WriteString(write, "first")
		select { // the last is sent only after the service has the first
		case got := <-arrived:
			_, _ = io.WriteString(write, " "+got+" last")
			_ = write.Close()
		case <-time.After(within):
			_ = write.CloseWithError(fmt.Errorf("the service did not get the first bytes"))
		}
	}()
	response := post(t, t.Context(), front, read)
	if body, err := io.ReadAll(response.Body); string(body) != " first last|<nil>" {
		t.Errorf("the service read %q, %v", body, err)
	}
}

func TestProxyStreamsEvents(t *testing.T) {
	more := make(chan struct{})
	front, _ := proxied(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "data: 2\n\n")
	})
	response := post(t, t.Context(), front, http.NoBody)
	lines := make(chan string, 8)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(response.Body); s.Scan(); {
			lines <- s.Text()
		}
	}()
	if got := receive(t, lines, "the first event"); got != "data: 1" {
		t.Errorf("first line %q", got)
	}
	close(more)
	rest := ""
	for line := range lines {
		rest += line
	}
	if rest != "data: 2" {
		t.Errorf("the rest is %q", rest)
	}
}

func TestProxyWithoutServiceIsUnavailable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	front := serve(t, Proxy(&url.URL{Scheme: "http", Host: address}))
	response := post(t, t.Context(), front+"/jobs", http.NoBody)
	var p web.Problem
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 503 || p.Status != 503 || response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %v %+v", response.StatusCode, response.Header, p)
	}
	if strings.Contains(p.Detail, address) {
		t.Errorf("the detail names the service: %q", p.Detail)
	}
}

func TestProxyCancelsWhenTheClientLeaves(t *testing.T) {
	for name, body := range map[string]io.Reader{"without a body": http.NoBody, "in mid-upload": neverEnding{}} {
		t.Run(name, func(t *testing.T) {
			reached, ended := make(chan struct{}), make(chan struct{})
			front, _ := proxied(t, func(_ http.ResponseWriter, r *http.Request) {
				close(reached)
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				close(ended)
			})
			ctx, leave := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, front, body)
			if err != nil {
				t.Fatal(err)
			}
			answered := make(chan error, 1)
			go func() {
				response, err := http.DefaultTransport.RoundTrip(r)
				if err == nil {
					_ = response.Body.Close()
				}
				answered <- err
			}()
			receive(t, reached, "the request")
			leave()
			receive(t, ended, "the end of the request at the service")
			if err := receive(t, answered, "the end of the request"); err == nil {
				t.Error("a cancelled request was answered")
			}
		})
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

func TestProxyTellsTheServiceWhoAsked(t *testing.T) {
	got := make(chan *http.Request, 1)
	front, behind := proxied(t, func(_ http.ResponseWriter, r *http.Request) { got <- r })
	post(t, t.Context(), front+"/jobs/a%2Fb?x=1;y&z=%20", http.NoBody,
		"X-Forwarded-For", "203.0.113.7", "X-Forwarded-Proto", "https", "Authorization", "Bearer t", "Connection", "close, X-Hop", "X-Hop", "1")
	r := receive(t, got, "the request")
	for name, want := range map[string]string{
		"X-Forwarded-For": "203.0.113.7, 127.0.0.1", "X-Forwarded-Proto": "https",
		"X-Forwarded-Host": strings.TrimPrefix(front, "http://"), "Authorization": "Bearer t", "X-Hop": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if want := strings.TrimPrefix(behind, "http://"); r.Host != want {
		t.Errorf("Host %q, want %q", r.Host, want)
	}
	if r.URL.EscapedPath() != "/jobs/a%2Fb" {
		t.Errorf("path %q", r.URL.EscapedPath())
	}
}

func TestProxyAsksBeforeALargeUpload(t *testing.T) {
	t.Run("refused: the body is not sent", func(t *testing.T) {
		front, _ := proxied(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
		body := &counter{Reader: bytes.NewReader(make([]byte, 1<<20))}
		if response := post(t, t.Context(), front, body, "Expect", "100-continue"); response.StatusCode != 413 || body.n > 0 {
			t.Errorf("status %d after %d bytes, want 413 after none", response.StatusCode, body.n)
		}
	})
	t.Run("taken: it is sent at once", func(t *testing.T) {
		front, _ := proxied(t, func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, n, err)
		})
		began := time.Now()
		response := post(t, t.Context(), front, bytes.NewReader(make([]byte, 1<<20)), "Expect", "100-continue")
		if body, _ := io.ReadAll(response.Body); string(body) != "1048576 <nil>" || time.Since(began) > within/2 {
			t.Errorf("the service read %q after %v", body, time.Since(began))
		}
	})
}

type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestProxyPassesARefusalInMidUpload(t *testing.T) {
	front, _ := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	if response := post(t, t.Context(), front, io.LimitReader(neverEnding{}, 8<<20)); response.StatusCode != 413 {
		t.Errorf("status %d, want 413", response.StatusCode)
	}
}

func TestProxyEndsEventStreamsWhenTheServerDrains(t *testing.T) {
	behind := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // a service that stays up does not end its stream
	}))
	target, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- web.Server{Handler: Proxy(target), Drain: within}.Serve(ctx, l) }()
	response := post(t, t.Context(), "http://"+l.Addr().String(), http.NoBody)
	stop()
	if body, err := io.ReadAll(response.Body); err != nil || len(body) > 0 {
		t.Errorf("the stream ends with %q, %v; want a clean end", body, err)
	}
	if err := receive(t, served, "the end of the server"); err != nil {
		t.Error(err)
	}
}

func TestProxyLetsGoOfTheServiceForAClientThatTakesNothing(t *testing.T) {
	left := make(chan struct{})
	target, err := url.Parse(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})))
	if err != nil {
		t.Fatal(err)
	}
	fixture.WhoTakesNothing(t, Proxy(target), "/download", "")
	receive(t, left, "the service is let go")
}
