package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

const (
	email    = "anna@example.org"
	password = "correct horse battery"
)

// person uses the system through its gateway.
type person struct {
	gateway string
	token   string
}

// person makes an account and logs in.
func (w *world) person(t *testing.T) *person {
	t.Helper()
	hash, err := user.NewHasher(user.HasherOptions{}).Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ledger.CreateUser(t.Context(), user.User{Email: email, PasswordHash: hash}); err != nil {
		t.Fatal(err)
	}
	p := &person{gateway: w.url("gateway")}
	req := p.request(t, http.MethodPost, "/login", nil)
	req.SetBasicAuth(email, password)
	p.token = string(send(t, req, http.StatusOK))
	return p
}

func (p *person) request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, p.gateway+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	return req
}

// send returns the body of an answer that must have the status.
func send(t *testing.T, req *http.Request, status int) []byte {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("%s %s: %d, want %d: %s", req.Method, req.URL, resp.StatusCode, status, body)
	}
	return body
}

// upload sends a file and returns its job.
func (p *person) upload(t *testing.T, content []byte) job.View {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "talk.mp4")
	if err == nil {
		_, err = part.Write(content)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	req := p.request(t, http.MethodPost, "/upload", &form)
	req.Header.Set("Content-Type", w.FormDataContentType())
	return view(t, send(t, req, http.StatusAccepted))
}

func (p *person) job(t *testing.T, id string) job.View {
	t.Helper()
	return view(t, send(t, p.request(t, http.MethodGet, "/jobs/"+id, nil), http.StatusOK))
}

// await follows a job until it ends.
func (p *person) await(t *testing.T, id string) job.View {
	t.Helper()
	resp, err := http.DefaultClient.Do(p.request(t, http.MethodGet, "/jobs/"+id+"/events", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var last job.View
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			last = view(t, []byte(data))
		}
	}
	if !last.State.Ended() {
		t.Fatalf("the events of job %s end with %+v", id, last)
	}
	return last
}

func (p *person) download(t *testing.T, fid string) []byte {
	t.Helper()
	return send(t, p.request(t, http.MethodGet, "/download?fid="+fid, nil), http.StatusOK)
}

func view(t *testing.T, body []byte) job.View {
	t.Helper()
	var v job.View
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}
