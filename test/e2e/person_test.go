//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// outside is a client of the cluster's ingress, whatever DNS says of a host.
var outside = &http.Client{Transport: dialing(os.Getenv("INGRESS"))}

// dialing connects to an address, whatever the URL.
func dialing(address string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		DisableKeepAlives: true,
	}
}

// person uses the system through its gateway.
type person struct {
	gateway string
	token   string
}

// admin logs in as the administrator that the deployment has made.
func (w *world) admin(t *testing.T) *person {
	t.Helper()
	p := &person{gateway: w.url(t, "gateway")}
	req := p.request(t, http.MethodPost, "/login", nil)
	req.SetBasicAuth(w.secret(t, "admin", "email"), w.secret(t, "admin", "password"))
	p.token = string(send(t, req, http.StatusOK))
	return p
}

// url is where a function is, as Knative says.
func (w *world) url(t *testing.T, function string) string {
	t.Helper()
	return kubectl(t, "-n", w.namespace, "get", "ksvc", function, "-o", "jsonpath={.status.url}")
}

func (w *world) secret(t *testing.T, name, key string) string {
	t.Helper()
	return kubectl(t, "-n", w.namespace, "get", "secret", name, "-o", "go-template={{index .data \""+key+"\" | base64decode}}")
}

func (p *person) request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	if !strings.HasPrefix(path, "http") {
		path = p.gateway + path
	}
	req, err := http.NewRequestWithContext(ctx, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	return req
}

// answer sends a request and returns status and body.
func answer(req *http.Request) (int, []byte, error) {
	resp, err := outside.Do(req)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, errors.Join(err, resp.Body.Close())
}

// send returns the body of an answer that must have the status.
func send(t *testing.T, req *http.Request, want int) []byte {
	t.Helper()
	status, body, err := answer(req)
	if err != nil {
		t.Fatal(err)
	}
	if status != want {
		t.Fatalf("%s %s: %d, want %d: %s", req.Method, req.URL, status, want, body)
	}
	return body
}

// form makes the body of an upload.
func form(content []byte, fields ...string) (body io.Reader, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		err = errors.Join(err, w.WriteField(fields[i], fields[i+1]))
	}
	part, e := w.CreateFormFile("file", "talk.mp4")
	if e == nil {
		_, e = part.Write(content)
	}
	return &b, w.FormDataContentType(), errors.Join(err, e, w.Close())
}

// tryUpload sends a file and returns its job, which is deleted at the end of the
// test: the Mongo-wire server looks through all that is stored.
func (p *person) tryUpload(t *testing.T, content []byte, fields ...string) (job.View, error) {
	t.Helper()
	body, contentType, err := form(content, fields...)
	if err != nil {
		return job.View{}, err
	}
	req := p.request(t, http.MethodPost, "/upload", body)
	req.Header.Set("Content-Type", contentType)
	status, text, err := answer(req)
	var v job.View
	if err == nil && status != http.StatusAccepted {
		err = fmt.Errorf("upload: %d, want 202: %s", status, text)
	}
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err == nil {
		t.Cleanup(func() { p.remove(v.ID) })
	}
	return v, err
}

// remove deletes a job, if it is there and can be reached.
func (p *person) remove(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, p.gateway+"/jobs/"+id, nil)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	_, _, _ = answer(req)
}

func (p *person) upload(t *testing.T, content []byte, fields ...string) job.View {
	t.Helper()
	v, err := p.tryUpload(t, content, fields...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (p *person) job(t *testing.T, id string) job.View {
	t.Helper()
	var v job.View
	if err := json.Unmarshal(send(t, p.request(t, http.MethodGet, "/jobs/"+id, nil), http.StatusOK), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// await asks for a job until it has ended.
func (p *person) await(t *testing.T, id string, within time.Duration) job.View {
	t.Helper()
	var v job.View
	eventually(t, "job "+id+" has ended", within, func() bool {
		status, body, err := answer(p.request(t, http.MethodGet, "/jobs/"+id, nil))
		return err == nil && status == http.StatusOK && json.Unmarshal(body, &v) == nil && v.State.Ended()
	})
	return v
}

// done asks for a job until it is done, and downloads its one MP3.
func (p *person) done(t *testing.T, id string, within time.Duration) []byte {
	t.Helper()
	v := p.await(t, id, within)
	if v.State != job.Done || len(v.Results) != 1 {
		t.Fatalf("job %s ended %+v", id, v)
	}
	mp3 := send(t, p.request(t, http.MethodGet, "/download?fid="+v.Results[0].FID, nil), http.StatusOK)
	if int64(len(mp3)) != v.Results[0].Bytes {
		t.Errorf("downloaded %d bytes, want %d", len(mp3), v.Results[0].Bytes)
	}
	return mp3
}

// awaitMail waits for the mail about the outcome of a job's run.
func (w *world) awaitMail(t *testing.T, id, outcome string, run int) string {
	t.Helper()
	var found string
	eventually(t, fmt.Sprintf("a mail says that job %s is %s", id, outcome), 2*time.Minute, func() bool {
		for _, m := range w.mail.Mails() {
			if strings.Contains(m, fmt.Sprintf("<%s.%d.%s@", id, run, outcome)) {
				found = m
			}
		}
		return found != ""
	})
	return found
}

// video makes a video with a tone.
func video(t *testing.T, seconds int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "video.mp4")
	d := fmt.Sprint(seconds)
	ffmpeg(t, "-f", "lavfi", "-i", "testsrc2=s=96x64:r=1:d="+d, "-f", "lavfi", "-i", "sine=440:d="+d,
		"-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-b:a", "48k", path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func ffmpeg(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, stderr.Bytes())
	}
	return out
}

// samples decodes an MP3 to mono at 44.1 kHz, and counts.
func samples(t *testing.T, mp3 []byte) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "result.mp3")
	if err := os.WriteFile(path, mp3, 0o600); err != nil {
		t.Fatal(err)
	}
	return len(ffmpeg(t, "-i", path, "-f", "s16le", "-ac", "1", "-ar", "44100", "-")) / 2
}
