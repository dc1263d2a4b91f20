package alchemist_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/functions/gateway/apitest"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// TestTrafficIsAsOpenAPISays sends the running program every kind of request
// and provokes every kind of error that a client can, and holds requests and
// responses to the description that the program itself serves.
func TestTrafficIsAsOpenAPISays(t *testing.T) { everywhere(t, trafficIsAsOpenAPISays) }

func trafficIsAsOpenAPISays(t *testing.T, p *place) {
	s := start(t, p, "REGISTRATION=open", "MAX_UPLOAD=1MiB")
	resp, err := http.Get(s.url + "/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	served, err := io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	shipped, readErr := os.ReadFile("functions/gateway/openapi.yaml")
	if err != nil || readErr != nil || !bytes.Equal(served, shipped) {
		t.Fatalf("served %d bytes, shipped %d: %v, %v", len(served), len(shipped), err, readErr)
	}
	a := &api{T: t, server: s, http: &http.Client{Transport: apitest.New(t, served)}}

	a.accounts()
	anna := a.token(adminEmail, adminPassword)
	ben := a.token("ben@example.com", "another password")
	done, failed := a.uploads(anna)
	a.jobs(anna, ben, done, failed)
	a.downloads(anna, ben, done)
	a.administration(anna, ben)
	a.rest()
	a.want(204, "DELETE", "/jobs/"+done.ID, anna, nil)
	a.want(404, "DELETE", "/jobs/"+done.ID, anna, nil)
}

// api sends requests whose answers the description has to allow.
type api struct {
	*testing.T
	server *server
	http   *http.Client
}

// want sends a request, which breaks the description on purpose where the
// status says that it is wrong, and returns the body of the answer.
func (a *api) want(status int, method, path, auth string, body io.Reader, header ...string) []byte {
	a.Helper()
	ctx := a.Context()
	if status >= 400 {
		ctx = apitest.Wrong(ctx)
	}
	return a.send(ctx, status, method, path, auth, body, header...)
}

func (a *api) send(ctx context.Context, status int, method, path, auth string, body io.Reader, header ...string) []byte {
	a.Helper()
	req, err := http.NewRequestWithContext(ctx, method, a.server.url+path, body)
	if err != nil {
		a.Fatal(err)
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := a.http.Do(req)
	if err != nil {
		a.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		a.Fatal(err)
	}
	if resp.StatusCode != status {
		a.Errorf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, status, got)
	}
	return got
}

func basic(email, password string) string {
	req := &http.Request{Header: http.Header{}}
	req.SetBasicAuth(email, password)
	return req.Header.Get("Authorization")
}

func (a *api) token(email, password string) string {
	return "Bearer " + string(a.want(200, "POST", "/login", basic(email, password), nil))
}

func (a *api) accounts() {
	const form, jsonType = "application/x-www-form-urlencoded", "application/json"
	ben := `{"email":"ben@example.com","password":"another password"}`
	a.want(201, "POST", "/register", "", strings.NewReader(ben), "Content-Type", jsonType)
	a.want(409, "POST", "/register", "", strings.NewReader(ben), "Content-Type", jsonType)
	a.want(400, "POST", "/register", "", strings.NewReader(`{"email":"nobody","password":"another password"}`), "Content-Type", jsonType)
	a.want(400, "POST", "/register", "", strings.NewReader(`{"email":"carl@example.com","password":"short"}`), "Content-Type", jsonType)
	a.want(201, "POST", "/register", "", strings.NewReader("email=dora%40example.com&password=another+password"), "Content-Type", form)
	a.want(413, "POST", "/register", "", strings.NewReader(`{"email":"`+strings.Repeat("x", 10_000)+`"}`), "Content-Type", jsonType)
	a.want(415, "POST", "/register", "", strings.NewReader("x"), "Content-Type", "text/csv")
	closed := &api{T: a.T, server: start(a.T, embedded(a.T)), http: a.http}
	closed.want(403, "POST", "/register", "", strings.NewReader(ben), "Content-Type", jsonType)

	a.want(200, "POST", "/login", basic("ben@example.com", "another password"), nil, "Accept", "application/json")
	a.want(401, "POST", "/login", "", nil)
	for range 10 {
		a.want(401, "POST", "/login", basic("dora@example.com", "wrong password"), nil)
	}
	a.want(429, "POST", "/login", basic("dora@example.com", "another password"), nil)
	a.want(200, "POST", "/validate", a.token("ben@example.com", "another password"), nil)
	a.want(401, "POST", "/validate", "Bearer garbled", nil)
	a.want(200, "GET", "/.well-known/jwks.json", "", nil)
}

// multipartForm is a body with the files given, as a form.
func multipartForm(names ...string) (contentType string, body func(content string) io.Reader) {
	return "multipart/form-data; boundary=B", func(content string) io.Reader {
		var b strings.Builder
		for _, name := range names {
			b.WriteString("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\n\r\n" + content + "\r\n")
		}
		b.WriteString("--B--\r\n")
		return strings.NewReader(b.String())
	}
}

// everyOption has all but the quality, which excludes the bit rate.
var everyOption = map[string]string{
	"format": "mp3,m4a,opus,ogg,flac,wav", "bitrate": "96k", "sample_rate": "48000", "channels": "mono", "start": "0:00.5", "end": "1.25",
	"track": "ger-AT", "normalize": "-16.25", "title": "Füße", "artist": "東京", "album": "🎬", "date": "2026", "genre": "Talk", "comment": "<&>", "cover": "0:01.5",
}

// fields are the beginning of a form of multipartForm.
func fields(values map[string]string) string {
	var b strings.Builder
	for name, value := range values {
		b.WriteString("--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n")
	}
	return b.String()
}

func (a *api) uploads(anna string) (done, failed job.View) {
	one, oneBody := multipartForm("talk.mp4")
	two, twoBody := multipartForm("a.mp4", "b.mp4")
	none, noneBody := multipartForm()
	send := func(status int, auth, contentType string, body io.Reader) []byte {
		a.Helper()
		return a.want(status, "POST", "/upload", auth, body, "Content-Type", contentType)
	}
	content := string(video(a.T, 1))
	done = decode[job.View](a.T, send(202, anna, one, oneBody(content)))
	failed = decode[job.View](a.T, send(202, anna, one, oneBody("a text")))
	asked := decode[job.View](a.T, send(202, anna, one, io.MultiReader(strings.NewReader(fields(everyOption)), oneBody(content))))
	if got := len(asked.Options.Fields()); got != len(everyOption) {
		a.Errorf("%d options of %d: %+v", got, len(everyOption), asked.Options)
	}
	a.want(204, "DELETE", "/jobs/"+asked.ID, anna, nil)
	send(400, anna, one, io.MultiReader(strings.NewReader(fields(map[string]string{"format": "mp4"})), oneBody(content)))
	send(401, "", one, oneBody("x"))
	send(400, anna, two, twoBody("x"))
	send(400, anna, none, noneBody("x"))
	send(400, anna, one, oneBody(""))
	send(400, anna, "application/json", strings.NewReader("{}"))
	send(413, anna, one, oneBody(strings.Repeat("x", 1<<20+1)))
	for _, id := range []string{done.ID, failed.ID} {
		a.want(200, "GET", "/jobs/"+id+"/events", anna, nil, "Accept", "text/event-stream") // until it ends
	}
	return decode[job.View](a.T, a.want(200, "GET", "/jobs/"+done.ID, anna, nil)),
		decode[job.View](a.T, a.want(200, "GET", "/jobs/"+failed.ID, anna, nil))
}

func (a *api) jobs(anna, ben string, done, failed job.View) {
	if done.State != job.Done || failed.State != job.Failed {
		a.Fatalf("states %s and %s", done.State, failed.State)
	}
	a.want(200, "GET", "/jobs", anna, nil)
	a.want(200, "GET", "/jobs?limit=1", anna, nil)
	a.want(200, "GET", "/jobs?limit=1&before="+failed.ID, anna, nil)
	a.want(200, "GET", "/jobs", ben, nil)
	a.want(400, "GET", "/jobs?limit=0", anna, nil)
	a.want(400, "GET", "/jobs?before=x", anna, nil)
	a.want(401, "GET", "/jobs", "", nil)
	for _, path := range []string{"/jobs/" + done.ID, "/jobs/" + done.ID + "/events"} {
		a.want(404, "GET", path, ben, nil)
		a.want(401, "GET", path, "", nil)
	}
	a.want(404, "DELETE", "/jobs/"+done.ID, ben, nil)
	a.want(401, "DELETE", "/jobs/"+done.ID, "", nil)
	a.want(404, "POST", "/jobs/"+failed.ID+"/retry", ben, nil)
	a.want(401, "POST", "/jobs/"+failed.ID+"/retry", "", nil)
	a.want(409, "POST", "/jobs/"+done.ID+"/retry", anna, nil)
	a.want(202, "POST", "/jobs/"+failed.ID+"/retry", anna, nil)
	a.want(200, "GET", "/jobs/"+failed.ID+"/events", anna, nil)
}

func (a *api) downloads(anna, ben string, done job.View) {
	r := done.Results[0]
	path := "/download?fid=" + r.FID
	if got := a.want(200, "GET", path, anna, nil); int64(len(got)) != r.Bytes {
		a.Errorf("%d bytes, want %d", len(got), r.Bytes)
	}
	a.want(200, "GET", r.URL, "", nil)
	a.want(200, "HEAD", path, anna, nil)
	if got := a.want(206, "GET", path, anna, nil, "Range", "bytes=10-19"); len(got) != 10 {
		a.Errorf("%d bytes of a range of 10", len(got))
	}
	a.want(206, "GET", path, anna, nil, "Range", "bytes=0-1,5-6")
	a.want(200, "GET", path, anna, nil, "Range", "bytes=10-19", "If-Range", `"of another file"`)
	a.want(206, "GET", path, anna, nil, "Range", "bytes=10-19", "If-Range", `"`+r.FID+`"`)
	a.want(304, "GET", path, anna, nil, "If-None-Match", `"`+r.FID+`"`)
	a.want(416, "GET", path, anna, nil, "Range", "bytes=999999999-")
	a.want(401, "GET", path, "", nil)
	a.want(401, "GET", strings.Replace(r.URL, "signature=", "signature=x", 1), "", nil)
	a.want(404, "GET", path, ben, nil)
	a.want(404, "GET", "/download?fid=../../etc/passwd", anna, nil)
	a.want(400, "GET", "/download", anna, nil)
}

// administration changes accounts; dead letters are in plugin_test.go.
func (a *api) administration(anna, ben string) {
	send := func(status int, method, path, auth, body string) []byte {
		a.Helper()
		return a.want(status, method, path, auth, strings.NewReader(body), "Content-Type", "application/json")
	}
	a.want(200, "GET", "/jobs?all=true&state=done&limit=1", anna, nil)
	a.want(200, "GET", "/jobs?user=ben@example.com", anna, nil)
	a.want(403, "GET", "/jobs?all=true", ben, nil)
	a.want(404, "GET", "/jobs?user=nobody@example.com", anna, nil)
	a.want(400, "GET", "/jobs?state=x", anna, nil)
	a.want(200, "GET", "/users?limit=1", anna, nil)
	a.want(200, "GET", "/users?email=ben@example.com", anna, nil)
	a.want(400, "GET", "/users?limit=0", anna, nil)
	a.want(403, "GET", "/users", ben, nil)
	a.want(401, "GET", "/users", "", nil)
	send(201, "POST", "/users", anna, `{"email":"eva@example.com"}`)
	send(409, "POST", "/users", anna, `{"email":"eva@example.com"}`)
	send(400, "POST", "/users", anna, `{"email":"eva"}`)
	a.want(415, "POST", "/users", anna, strings.NewReader("x"), "Content-Type", "text/csv")
	send(413, "POST", "/users", anna, `{"email":"`+strings.Repeat("x", 10_000)+`"}`)
	send(200, "PATCH", "/users/eva@example.com", anna, `{"disabled":true}`)
	send(400, "PATCH", "/users/eva@example.com", anna, `{}`)
	send(404, "PATCH", "/users/nobody@example.com", anna, `{"admin":true}`)
	send(409, "PATCH", "/users/"+adminEmail, anna, `{"admin":false}`)
	send(200, "PUT", "/users/eva@example.com/password", anna, `{"password":"another password"}`)
	send(200, "PUT", "/users/eva@example.com/password", anna, `{}`)
	send(403, "PUT", "/users/eva@example.com/password", ben, `{}`)
	send(200, "PUT", "/users/eva@example.com/password", anna, `{"password":"another password"}`)
	a.want(403, "POST", "/login", basic("eva@example.com", "another password"), nil)
	a.want(401, "POST", "/login", basic("eva@example.com", "a wrong password"), nil)
	a.want(200, "GET", "/deadletters", anna, nil)
	a.want(403, "GET", "/deadletters", ben, nil)
	a.want(400, "GET", "/deadletters?before=x", anna, nil)
	none := "/deadletters/" + job.NewID()
	a.want(404, "DELETE", none, anna, nil)
	a.want(404, "POST", none+"/replay", anna, nil)
	a.want(403, "POST", none+"/replay", ben, nil)
	a.want(200, "GET", "/status", anna, nil)
	a.want(403, "GET", "/status", ben, nil)
}

func (a *api) rest() {
	for _, path := range []string{"/", "/openapi.yaml", "/healthz", "/readyz"} {
		a.want(200, "GET", path, "", nil)
	}
	a.want(404, "GET", "/nothing", "", nil)
	a.want(405, "PUT", "/upload", "", nil)
	a.want(405, "GET", "/login", "", nil)
}
