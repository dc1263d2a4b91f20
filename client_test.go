package alchemist_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// client is a person with an account.
type client struct {
	*server
	http  *http.Client
	token string
}

func (s *server) login(t *testing.T, email, password string) *client {
	t.Helper()
	c := &client{server: s, http: http.DefaultClient}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(email, password)
	status, body := c.do(t, req)
	if status != http.StatusOK {
		t.Fatalf("login: %d %s", status, body)
	}
	c.token = string(body)
	return c
}

func (s *server) admin(t *testing.T) *client {
	t.Helper()
	return s.login(t, adminEmail, adminPassword)
}

func (c *client) do(t *testing.T, req *http.Request) (int, []byte) {
	t.Helper()
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func (c *client) call(t *testing.T, method, path string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.do(t, req)
}

// uploadRequest is a form with one file.
func (c *client) uploadRequest(t *testing.T, name string, content io.Reader) *http.Request {
	t.Helper()
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", name)
		if err == nil {
			_, err = io.Copy(part, content)
		}
		if err == nil {
			err = form.Close()
		}
		w.CloseWithError(err)
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/upload", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+c.token)
	return req
}

// upload sends a file and returns the job of the 202.
func (c *client) upload(t *testing.T, name string, content []byte) job.View {
	t.Helper()
	status, body := c.do(t, c.uploadRequest(t, name, bytes.NewReader(content)))
	if status != http.StatusAccepted {
		t.Fatalf("upload: %d %s", status, body)
	}
	return decode[job.View](t, body)
}

func (c *client) job(t *testing.T, id string) job.View {
	t.Helper()
	status, body := c.call(t, http.MethodGet, "/jobs/"+id)
	if status != http.StatusOK {
		t.Fatalf("job %s: %d %s", id, status, body)
	}
	return decode[job.View](t, body)
}

// follow opens the stream of a job's events and returns its lines.
func (c *client) follow(t *testing.T, id string) *bufio.Scanner {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/jobs/"+id+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return bufio.NewScanner(resp.Body)
}

// await follows the events of a job until it ends.
func (c *client) await(t *testing.T, id string) job.View {
	t.Helper()
	last := rest(t, c.follow(t, id))
	if !last.State.Ended() {
		t.Fatalf("the events of job %s end with %+v", id, last)
	}
	return last
}

// rest reads a stream of events to its end and returns the last job in it.
func rest(t *testing.T, events *bufio.Scanner) job.View {
	t.Helper()
	var last job.View
	for events.Scan() {
		if data, ok := strings.CutPrefix(events.Text(), "data: "); ok {
			last = decode[job.View](t, []byte(data))
		}
	}
	return last
}

func decode[T any](t *testing.T, body []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}
