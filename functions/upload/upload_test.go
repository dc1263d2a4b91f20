package upload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
)

// world is the function over real stores.
type world struct {
	*fixture.Stores
	url    string
	query  string // of the requests
	bearer string
}

func start(t *testing.T, change func(*Deps)) *world {
	t.Helper()
	s := fixture.New(t)
	d := Deps{Ledger: s.Ledger, Blobs: s.Blobs, Events: s.Events, Verifier: s.Verifier, Links: s.Links, MaxBytes: 1 << 20}
	if change != nil {
		change(&d)
	}
	srv := httptest.NewServer(New(d))
	t.Cleanup(srv.Close)
	return &world{Stores: s, url: srv.URL, bearer: s.Bearer(t, "anna", false)}
}

func (w *world) post(t *testing.T, contentType string, body io.Reader) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/upload"+w.query, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", w.bearer)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// form builds a multipart body; a name that begins with "=" is a plain field.
func form(t *testing.T, files ...[2]string) (string, *bytes.Buffer) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range files {
		if name, plain := strings.CutPrefix(f[0], "="); plain {
			if err := w.WriteField(name, f[1]); err != nil {
				t.Fatal(err)
			}
			continue
		}
		part, err := w.CreateFormFile("file", f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), &body
}

// left counts the blobs and jobs that there are.
func (w *world) left(t *testing.T) (blobs, jobs int) {
	t.Helper()
	list, err := w.Ledger.Jobs(t.Context(), ledger.JobFilter{Owner: "anna"}, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return w.Count(t, blob.Videos), len(list)
}

func accepted(t *testing.T, resp *http.Response) job.View {
	t.Helper()
	if resp.StatusCode != http.StatusAccepted {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	var v job.View
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAnUploadBecomesAQueuedJob(t *testing.T) {
	w := start(t, nil)
	ct, body := form(t, [2]string{"=note", "before"}, [2]string{"talk.mp4", "not really a video"}, [2]string{"=note", "after"})
	resp := w.post(t, ct, body)
	v := accepted(t, resp)
	if v.State != job.Queued || v.Name != "talk.mp4" || resp.Header.Get("Location") != "/jobs/"+v.ID {
		t.Errorf("job %+v, Location %q", v, resp.Header.Get("Location"))
	}
	j, err := w.Ledger.Job(t.Context(), v.ID)
	if err != nil || j.Owner != "anna" || j.Bytes != 18 || len(w.Broker.Events()) != 1 {
		t.Fatalf("ledger has %+v, %v; %d events", j, err, len(w.Broker.Events()))
	}
	b, err := w.Blobs.Open(t.Context(), blob.Videos, j.Source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if got, err := io.ReadAll(b); err != nil || string(got) != "not really a video" {
		t.Errorf("stored %q, %v", got, err)
	}
}

func TestABrokerThatIsDownFailsNoUpload(t *testing.T) {
	w := start(t, nil)
	w.Broker.Answer(http.StatusServiceUnavailable)
	ct, body := form(t, [2]string{"talk.mp4", "x"})
	if v := accepted(t, w.post(t, ct, body)); v.State != job.Received {
		t.Errorf("state %s, want received", v.State)
	}
}

func TestFileNamesAreLabels(t *testing.T) {
	long := strings.Repeat("é", 296) + ".mp4"
	for header, want := range map[string]string{
		`filename="Füße 東京 🎬.mp4"`:        "Füße 東京 🎬.mp4",
		`filename="a %22b%22.mp4"`:        `a "b".mp4`,
		`filename="a \"b\".mp4"`:          `a "b".mp4`,
		`filename="../../etc/passwd"`:     "passwd",
		`filename="C:\\dir\\clip.avi"`:    "clip.avi",
		`filename="` + long + `"`:         long,
		`filename*=UTF-8''na%C3%AFve.mp4`: "naïve.mp4",
	} {
		t.Run(want, func(t *testing.T) {
			w := start(t, nil)
			body := "--B\r\nContent-Disposition: form-data; name=\"file\"; " + header + "\r\n\r\nx\r\n--B--\r\n"
			if v := accepted(t, w.post(t, "multipart/form-data; boundary=B", strings.NewReader(body))); v.Name != want {
				t.Errorf("name %q, want %q", v.Name, want)
			}
		})
	}
}

func TestWhatIsRefusedLeavesNothing(t *testing.T) {
	plain := func(ct string, body io.Reader) func(*testing.T) (string, io.Reader) {
		return func(*testing.T) (string, io.Reader) { return ct, body }
	}
	made := func(files ...[2]string) func(*testing.T) (string, io.Reader) {
		return func(t *testing.T) (string, io.Reader) { ct, b := form(t, files...); return ct, b }
	}
	fields := make([][2]string, maxFields+1)
	for i := range fields {
		fields[i] = [2]string{"=f", "x"}
	}
	tests := map[string]struct {
		body   func(*testing.T) (string, io.Reader)
		status int
	}{
		"no form":                {plain("application/json", strings.NewReader("{}")), 400},
		"no content type":        {plain("", strings.NewReader("x")), 400},
		"no boundary":            {plain("multipart/form-data", strings.NewReader("x")), 400},
		"no file":                {made([2]string{"=note", "x"}), 400},
		"empty form":             {made(), 400},
		"empty file":             {made([2]string{"a.mp4", ""}), 400},
		"two files":              {made([2]string{"a.mp4", "x"}, [2]string{"b.mp4", "y"}), 400},
		"no file chosen":         {made([2]string{"", ""}), 400},
		"endless fields":         {made(fields...), 400},
		"a huge field":           {made([2]string{"=note", strings.Repeat("x", overhead+1)}), 400},
		"cut off":                {plain("multipart/form-data; boundary=B", strings.NewReader("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nxyz")), 400},
		"too large, announced":   {made([2]string{"a.mp4", strings.Repeat("x", 3<<20)}), 413},
		"too large, by one byte": {made([2]string{"a.mp4", strings.Repeat("x", 1<<20+1)}), 413},
		"too large, unannounced": {func(t *testing.T) (string, io.Reader) {
			ct, b := form(t, [2]string{"a.mp4", strings.Repeat("x", 3<<20)})
			return ct, io.MultiReader(b) // hides the length
		}, 413},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := start(t, nil)
			ct, body := tt.body(t)
			resp := w.post(t, ct, body)
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("status %d %s, want %d", resp.StatusCode, resp.Header.Get("Content-Type"), tt.status)
			}
			if blobs, jobs := w.left(t); blobs != 0 || jobs != 0 || len(w.Broker.Events()) != 0 {
				t.Errorf("left: %d blobs, %d jobs, %d events", blobs, jobs, len(w.Broker.Events()))
			}
		})
	}
}

func TestTheReasonReachesTheClientAndTheFileNameNoLog(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	for name, body := range map[string]string{
		"no end":               "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"secret.mp4\"\r\n\r\nx",
		"NUL in a file name":   "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"secret\x00.mp4\"\r\n\r\nx\r\n--B--\r\n",
		"no quotes, a space":   "--B\r\nContent-Disposition: form-data; name=file; filename=secret one.mp4\r\n\r\nx\r\n--B--\r\n",
		"two names for a file": "--B\r\nContent-Disposition: form-data; name=f; filename=secret; filename=b\r\n\r\nx\r\n--B--\r\n",
	} {
		w := start(t, nil)
		resp := w.post(t, "multipart/form-data; boundary=B", strings.NewReader(body))
		answer, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 400 || !strings.Contains(string(answer), "cut off or is no valid form") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, answer)
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the log has the file name:\n%s", log.String())
	}
}

func TestTheLargestFileIsTaken(t *testing.T) {
	w := start(t, nil)
	ct, body := form(t, [2]string{"a.mp4", strings.Repeat("x", 1<<20)})
	accepted(t, w.post(t, ct, body))
}

func TestOnlyBearersOfATokenUpload(t *testing.T) {
	w := start(t, nil)
	w.bearer = "Bearer garbled"
	ct, body := form(t, [2]string{"a.mp4", "x"})
	if resp := w.post(t, ct, body); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", resp.StatusCode)
	}
	if blobs, jobs := w.left(t); blobs != 0 || jobs != 0 {
		t.Errorf("left: %d blobs, %d jobs", blobs, jobs)
	}
}

func TestAClientThatLeavesLeavesNothing(t *testing.T) {
	ended := make(chan error, 1)
	w := start(t, func(d *Deps) { d.Blobs = observed{d.Blobs, ended} })
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 100000\r\n"+
		"Content-Type: multipart/form-data; boundary=B\r\n\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\nsome bytes", w.bearer)
	if err := errors.Join(err, conn.Close()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("half a video was stored")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the upload did not end")
	}
	if blobs, jobs := w.left(t); blobs != 0 || jobs != 0 {
		t.Errorf("left: %d blobs, %d jobs", blobs, jobs)
	}
}

func TestAStoreThatFailsIsUnavailableAndLeavesNoJob(t *testing.T) {
	w := start(t, func(d *Deps) { d.Blobs = full{d.Blobs} })
	ct, body := form(t, [2]string{"a.mp4", "x"})
	if resp := w.post(t, ct, body); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
	if _, jobs := w.left(t); jobs != 0 {
		t.Errorf("%d jobs left", jobs)
	}
}

func TestALedgerThatCannotTellLeavesTheVideoToTheSweep(t *testing.T) {
	w := start(t, nil)
	if err := w.Ledger.Close(); err != nil {
		t.Fatal(err)
	}
	ct, body := form(t, [2]string{"a.mp4", "x"})
	if resp := w.post(t, ct, body); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
	if n := w.Count(t, blob.Videos); n != 1 {
		t.Errorf("%d videos are left: the job may be there, and want 1", n)
	}
}

func TestAVideoGoesOnlyIfNoJobCanHaveIt(t *testing.T) {
	for kind, left := range map[fail.Kind]int{fail.Exists: 0, fail.Unavailable: 1} {
		t.Run(kind.String(), func(t *testing.T) {
			s := fixture.New(t)
			Deps{Blobs: s.Blobs}.discard(t.Context(), s.Put(t, blob.Videos, "x"), fail.New(kind, "no"))
			if n := s.Count(t, blob.Videos); n != left {
				t.Errorf("%d videos, want %d", n, left)
			}
		})
	}
}

func TestMemoryStaysFlat(t *testing.T) {
	const size = 256 << 20
	w := start(t, func(d *Deps) { d.MaxBytes = size })
	head := "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\n"
	body := io.MultiReader(strings.NewReader(head), io.LimitReader(zeros{}, size), strings.NewReader("\r\n--B--\r\n"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	accepted(t, w.post(t, "multipart/form-data; boundary=B", body))
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 32<<20 {
		t.Errorf("the heap grew by %d MiB for a file of %d MiB", grown>>20, size>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// observed tells how each Put ended.
type observed struct {
	blob.Store
	ended chan<- error
}

func (s observed) Put(ctx context.Context, b blob.Bucket, id string, r io.Reader) (blob.Info, error) {
	info, err := s.Store.Put(ctx, b, id, r)
	s.ended <- err
	return info, err
}

// full is a store with no room.
type full struct{ blob.Store }

func (full) Put(context.Context, blob.Bucket, string, io.Reader) (blob.Info, error) {
	return blob.Info{}, fail.Wrap(fail.Unavailable, errors.New("no space left on device"), "write blob")
}
