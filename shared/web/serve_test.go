package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// serve runs a Server and returns its address and a way to end it.
func serve(t *testing.T, s Server) (url string, end func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	return "http://" + l.Addr().String(), func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(10 * time.Second):
			return errors.New("Serve did not return")
		}
	}
}

func TestAServerOfSeveralFunctionsNamesThem(t *testing.T) {
	broken := errors.New("the ledger is not there yet")
	for name, tt := range map[string]struct {
		functions []string
		ready     error
		want      string
	}{
		"one":                {nil, nil, ""},
		"several":            {[]string{"login", "upload"}, nil, "login, upload"},
		"several, not ready": {[]string{"login", "upload"}, broken, "login, upload"},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(context.Context) error { return tt.ready }
			url, end := serve(t, Server{Handler: http.NotFoundHandler(), Ready: check, Functions: tt.functions})
			resp, err := http.Get(url + "/readyz")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := resp.Header.Get(HeaderFunctions); got != tt.want {
				t.Errorf("served: %q, want %q", got, tt.want)
			}
			if got := call(NewHealth(http.NotFoundHandler(), check, tt.functions...), "GET", "/readyz").Header.Get(HeaderFunctions); got != tt.want {
				t.Errorf("by its health: %q, want %q", got, tt.want)
			}
			if err := end(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	broken := errors.New("the ledger is not there yet")
	url, end := serve(t, Server{Handler: http.NotFoundHandler(), Ready: func(context.Context) error { return broken }})
	status := func(path, agent string) int {
		req, _ := http.NewRequest("GET", url+path, nil)
		req.Header.Set("User-Agent", agent)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	const probe = "kube-probe/1.34"
	check := func(when string, started, ready int) {
		t.Helper()
		for path, want := range map[string]int{"/healthz": 200, "/startz": started, "/readyz": ready} {
			for _, agent := range []string{"curl", probe} {
				if got := status(path, agent); got != want {
					t.Errorf("%s: %s answers %s with %d, want %d", when, path, agent, got, want)
				}
			}
		}
		if got := status("/else", "curl"); got != http.StatusNotFound {
			t.Errorf("%s: /else answers %d, want 404", when, got)
		}
		if got := status("/else", probe); got != ready {
			t.Errorf("%s: a probe of Kubernetes for /else gets %d, want %d", when, got, ready)
		}
	}
	check("not ready yet", 503, 503)
	broken = nil
	check("ready", 200, 200)
	broken = errors.New("the ledger is down")
	check("no longer ready", 200, 503)
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestDrainFinishesRequestsAndEndsStreams(t *testing.T) {
	working, finish := make(chan struct{}), make(chan struct{})
	var mux http.ServeMux
	mux.HandleFunc("/work", func(w http.ResponseWriter, _ *http.Request) {
		close(working)
		<-finish
		_, _ = io.WriteString(w, "whole")
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		<-Draining(r.Context())
		_, _ = io.WriteString(w, "last\n")
		close(finish) // only now may the other request end
	})
	url, end := serve(t, Server{Handler: &mux, Drain: 5 * time.Second})
	answers := make(chan string, 1)
	go func() {
		resp, err := http.Get(url + "/work")
		if err != nil {
			answers <- err.Error()
			return
		}
		body, err := io.ReadAll(resp.Body)
		answers <- fmt.Sprint(string(body), err)
	}()
	<-working
	stream, err := http.Get(url + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stream.Body)
	if !lines.Scan() || lines.Text() != "first" {
		t.Fatalf("stream began with %q", lines.Text())
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if !lines.Scan() || lines.Text() != "last" {
		t.Errorf("stream ended with %q", lines.Text())
	}
	if got := <-answers; got != "whole<nil>" {
		t.Errorf("the request under way got %q", got)
	}
}

func TestDrainCutsOffWhatTakesTooLong(t *testing.T) {
	settled := false // by the time that Serve returns; the race detector watches
	started := make(chan struct{})
	url, end := serve(t, Server{Drain: 50 * time.Millisecond, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
		settled = true
	})})
	go func() { _, _ = http.Get(url) }()
	<-started
	if err := end(); err != nil {
		t.Error(err)
	}
	if !settled {
		t.Error("the handler was not waited for")
	}
}

func TestOnlyASilentClientIsCutOff(t *testing.T) {
	const idle = 200 * time.Millisecond
	ended := make(chan error, 1)
	srv := httptest.NewServer(patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/reads" {
			_, err := io.Copy(io.Discard, r.Body)
			ended <- err
		}
		_, _ = io.WriteString(w, "answer")
		if r.URL.Path == "/streams" {
			_ = http.NewResponseController(w).Flush()
		}
	}), idle))
	defer srv.Close()
	dial := func(path string, length int) net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", path, length); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	const bytes = 25
	slow := dial("/reads", bytes)
	tick := time.NewTicker(idle / 10)
	defer tick.Stop()
	for range bytes {
		<-tick.C
		if _, err := slow.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("a slow client: %v", err)
	}
	for _, path := range []string{"/reads", "/ignores", "/streams"} {
		silent := dial(path, 1000)
		if _, err := io.ReadAll(silent); err != nil {
			t.Errorf("%s: the connection of a silent client stays: %v", path, err)
		}
	}
	if err := <-ended; err == nil {
		t.Error("half a body was read without an error")
	}
}

func TestARefusalAsksForNoBody(t *testing.T) {
	url, end := serve(t, Server{Handler: Handler(func(w http.ResponseWriter, r *http.Request) error {
		switch r.URL.Path {
		case "/login":
			return fail.New(fail.Unauthorized, "Log in first.")
		case "/large":
			return fail.New(fail.TooLarge, "It is too large.")
		}
		_, err := io.Copy(w, r.Body)
		return err
	})})
	for path, want := range map[string]string{
		"/login": "HTTP/1.1 401 Unauthorized", "/large": "HTTP/1.1 413 Request Entity Too Large", "/taken": "HTTP/1.1 100 Continue",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(sendWithin / 3)) // less than a client may be silent
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		answer := bufio.NewReader(conn)
		if first, err := answer.ReadString('\n'); strings.TrimSpace(first) != want || err != nil {
			t.Errorf("%s: the answer begins with %q, %v; want %s", path, first, err, want)
		}
		if path == "/taken" {
			_, err = io.WriteString(conn, "body")
			if blank, _ := answer.ReadString('\n'); err != nil || blank != "\r\n" {
				t.Errorf("%s: %q, %v", path, blank, err)
			}
			resp, err := http.ReadResponse(answer, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(got) != "body" || err != nil {
				t.Errorf("%s: %d %q, %v", path, resp.StatusCode, got, err)
			}
		}
		_ = conn.Close()
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestALongAnswerOutlivesTheBodysDeadline(t *testing.T) {
	const idle = 50 * time.Millisecond
	srv := httptest.NewServer(patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-time.After(5 * idle):
			_, _ = io.WriteString(w, "whole")
		}
	}), idle))
	defer srv.Close()
	resp, err := http.Post(srv.URL, "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got, err := io.ReadAll(resp.Body); string(got) != "whole" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
