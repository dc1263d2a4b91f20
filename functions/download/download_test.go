package download

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

func TestTheOwnerGetsTheWholeFile(t *testing.T) {
	w := start(t, 3<<20+11)
	resp, body := w.do(t, "GET", "/download?fid="+w.fid, w.as(t, "anna", false))
	if resp.StatusCode != http.StatusOK || !bytes.Equal(body, w.content) {
		t.Fatalf("status %d, %d bytes; want 200 and the %d bytes of the file", resp.StatusCode, len(body), len(w.content))
	}
	for name, want := range map[string]string{
		"Content-Type":           "audio/mpeg",
		"Content-Length":         strconv.Itoa(len(w.content)),
		"Accept-Ranges":          "bytes",
		"Etag":                   `"` + w.fid + `"`,
		"Cache-Control":          "private, no-cache",
		"X-Content-Type-Options": "nosniff",
		"Content-Disposition": `attachment; filename="F__e ____ _.mp3"; ` +
			`filename*=UTF-8''F%C3%BC%C3%9Fe%20%22%E6%9D%B1%E4%BA%AC%22%20%F0%9F%8E%AC.mp3`,
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if at, err := http.ParseTime(resp.Header.Get("Last-Modified")); err != nil || time.Since(at) > time.Minute {
		t.Errorf("Last-Modified: %v, %v", at, err)
	}
}

func TestHeadSaysTheSameWithoutABody(t *testing.T) {
	w := start(t, 1000)
	full, _ := w.do(t, "GET", "/download?fid="+w.fid, w.as(t, "anna", false))
	head, body := w.do(t, "HEAD", "/download?fid="+w.fid, w.as(t, "anna", false))
	if head.StatusCode != http.StatusOK || len(body) != 0 {
		t.Fatalf("status %d, %d bytes", head.StatusCode, len(body))
	}
	for name := range full.Header {
		if name != "Date" && head.Header.Get(name) != full.Header.Get(name) {
			t.Errorf("%s: %q, want %q", name, head.Header.Get(name), full.Header.Get(name))
		}
	}
}

func TestWhoMayDownload(t *testing.T) {
	w := start(t, 1000)
	link := w.deps.Links.Path(w.fid, time.Hour)
	byID := "/download?fid=" + w.fid
	none := http.Header{}
	other := w.deps.Links.Path(blob.NewID(), time.Hour)
	swapped, err := url.Parse(other)
	if err != nil {
		t.Fatal(err)
	}
	q := swapped.Query()
	q.Set("fid", w.fid)
	for name, tt := range map[string]struct {
		path   string
		header http.Header
		want   int
	}{
		"owner":                          {byID, w.as(t, "anna", false), 200},
		"administrator":                  {byID, w.as(t, "root", true), 200},
		"signed link":                    {link, none, 200},
		"signed link with another login": {link, w.as(t, "ben", false), 200},
		"another user":                   {byID, w.as(t, "ben", false), 404},
		"unknown file":                   {"/download?fid=" + blob.NewID(), w.as(t, "anna", false), 404},
		"signed link, unknown file":      {other, none, 404},
		"video of the job":               {"/download?fid=" + w.job.Source, w.as(t, "anna", false), 404},
		"video of the job, as admin":     {"/download?fid=" + w.job.Source, w.as(t, "root", true), 404},
		"path for an id":                 {"/download?fid=../../etc/passwd", w.as(t, "anna", false), 404},
		"no id":                          {"/download", w.as(t, "anna", false), 400},
		"nobody":                         {byID, none, 401},
		"nobody, unknown file":           {"/download?fid=x", none, 401},
		"garbled token":                  {byID, http.Header{"Authorization": {"Bearer x"}}, 401},
		"link for another file":          {"/download?" + q.Encode(), none, 401},
		"link with a forged signature":   {link[:len(link)-3] + "AAA", none, 401},
		"link with a longer life":        {strings.Replace(link, "expires=", "expires=9", 1), none, 401},
		"link with an empty signature":   {byID + "&expires=9999999999&signature=", none, 401},
		"POST":                           {"", nil, 405},
	} {
		t.Run(name, func(t *testing.T) {
			method := "GET"
			if tt.header == nil {
				method, tt.path = "POST", byID
			}
			resp, body := w.do(t, method, tt.path, tt.header)
			if resp.StatusCode != tt.want {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, tt.want, body)
			}
			if tt.want == 200 {
				if !bytes.Equal(body, w.content) {
					t.Error("not the content of the file")
				}
				return
			}
			wantProblem(t, resp, body)
		})
	}
}

func TestAnAdministratorWhoIsNoneAnyMoreGetsTheirOwnFilesAlone(t *testing.T) {
	w := start(t, 1000)
	yes, no := true, false
	w.Bearer(t, "root", true) // somebody else has to be left in charge
	for name, change := range map[string]ledger.UserChange{"demoted": {Admin: &no}, "disabled": {Disabled: &yes}} {
		t.Run(name, func(t *testing.T) {
			with := w.as(t, name, true)
			others, own := "/download?fid="+w.fid, "/download?fid="+w.Done(t, name, "mp3").FIDs()[0]
			if resp, body := w.do(t, "GET", others, with); resp.StatusCode != http.StatusOK {
				t.Fatalf("before: %d %s", resp.StatusCode, body)
			}
			if _, err := w.Ledger.ChangeUser(t.Context(), name, change); err != nil {
				t.Fatal(err)
			}
			resp, body := w.do(t, "GET", others, with)
			if resp.StatusCode != http.StatusNotFound {
				t.Fatalf("another's file: %d, want 404", resp.StatusCode)
			}
			wantProblem(t, resp, body)
			if resp, body := w.do(t, "GET", own, with); resp.StatusCode != http.StatusOK {
				t.Errorf("their own: %d %s", resp.StatusCode, body)
			}
		})
	}
}

func wantProblem(t *testing.T, resp *http.Response, body []byte) {
	t.Helper()
	var p web.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Status != resp.StatusCode || p.Detail == "" {
		t.Errorf("body %s, error %v; want a problem with status %d", body, err, resp.StatusCode)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type: %q", got)
	}
	if resp.Header.Get("Etag")+resp.Header.Get("Content-Disposition") != "" {
		t.Errorf("headers of a file with an error: %v", resp.Header)
	}
}

func TestALinkExpires(t *testing.T) {
	w := start(t, 10)
	link := w.deps.Links.Path(w.fid, time.Hour)
	w.ahead.Store(int64(time.Hour - 10*time.Second))
	if resp, _ := w.do(t, "GET", link, nil); resp.StatusCode != http.StatusOK {
		t.Errorf("before: status %d", resp.StatusCode)
	}
	w.ahead.Store(int64(time.Hour))
	resp, body := w.do(t, "GET", link, nil)
	if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), "expired") {
		t.Errorf("after: status %d, %s", resp.StatusCode, body)
	}
}

func TestADeletedJobTakesItsLinksWithIt(t *testing.T) {
	w := start(t, 10)
	if _, err := w.deps.Ledger.DeleteJob(t.Context(), w.job.ID); err != nil {
		t.Fatal(err)
	}
	if resp, _ := w.do(t, "GET", w.deps.Links.Path(w.fid, time.Hour), nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, want 404", resp.StatusCode)
	}
}

func TestRanges(t *testing.T) {
	w := start(t, 1<<20)
	p, etag := w.content, `"`+w.fid+`"`
	size := len(p)
	for name, tt := range map[string]struct {
		ask    string
		header http.Header
		status int
		from   int
		to     int // after the last byte
	}{
		"first byte":              {"bytes=0-0", nil, 206, 0, 1},
		"middle":                  {"bytes=1000-700000", nil, 206, 1000, 700001},
		"open end":                {"bytes=1000000-", nil, 206, 1000000, size},
		"suffix":                  {"bytes=-500", nil, 206, size - 500, size},
		"suffix beyond the start": {"bytes=-9999999", nil, 206, 0, size},
		"end beyond the end":      {"bytes=1048000-9999999", nil, 206, 1048000, size},
		"If-Range that matches":   {"bytes=5-9", http.Header{"If-Range": {etag}}, 206, 5, 10},
		"If-Range of another":     {"bytes=5-9", http.Header{"If-Range": {`"other"`}}, 200, 0, size},
		"weak If-Range":           {"bytes=5-9", http.Header{"If-Range": {"W/" + etag}}, 200, 0, size},
		"another unit":            {"seconds=1-2", nil, 416, 0, 0},
		"after the end":           {"bytes=1048576-", nil, 416, 0, 0},
		"backwards":               {"bytes=9-5", nil, 416, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			header := w.as(t, "anna", false)
			header.Set("Range", tt.ask)
			for k, v := range tt.header {
				header[k] = v
			}
			resp, body := w.do(t, "GET", "/download?fid="+w.fid, header)
			if resp.StatusCode != tt.status {
				t.Fatalf("status %d, want %d", resp.StatusCode, tt.status)
			}
			want := "bytes " + strconv.Itoa(tt.from) + "-" + strconv.Itoa(tt.to-1) + "/" + strconv.Itoa(size)
			switch tt.status {
			case 416:
				wantProblem(t, resp, body)
				return
			case 200:
				want = ""
			}
			if got := resp.Header.Get("Content-Range"); got != want {
				t.Errorf("Content-Range: %q, want %q", got, want)
			}
			if !bytes.Equal(body, p[tt.from:tt.to]) {
				t.Errorf("%d bytes that are not those of the range", len(body))
			}
		})
	}
}

func TestManyRangesInOneAnswer(t *testing.T) {
	w := start(t, 1<<20)
	header := w.as(t, "anna", false)
	header.Set("Range", "bytes=0-9,500000-900000,-7")
	resp, body := w.do(t, "GET", "/download?fid="+w.fid, header)
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || resp.StatusCode != http.StatusPartialContent {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for _, want := range [][]byte{w.content[:10], w.content[500000:900001], w.content[len(w.content)-7:]} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(part); err != nil || !bytes.Equal(got, want) || part.Header.Get("Content-Type") != "audio/mpeg" {
			t.Errorf("part of %d bytes, %v, %v", len(got), part.Header, err)
		}
	}
}

func TestConditions(t *testing.T) {
	w := start(t, 100)
	for name, tt := range map[string]struct {
		header, value string
		want          int
	}{
		"the client has it":     {"If-None-Match", `"` + w.fid + `"`, 304},
		"the client has others": {"If-None-Match", `"x"`, 200},
		"unchanged since":       {"If-Modified-Since", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat), 304},
		"only if it is another": {"If-Match", `"x"`, 412},
	} {
		t.Run(name, func(t *testing.T) {
			header := w.as(t, "anna", false)
			header.Set(tt.header, tt.value)
			if resp, _ := w.do(t, "GET", "/download?fid="+w.fid, header); resp.StatusCode != tt.want {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.want)
			}
		})
	}
}

func TestWhoTakesNothingIsCutOff(t *testing.T) {
	w := start(t, 32<<20)
	fixture.WhoTakesNothing(t, New(w.deps), w.deps.Links.Path(w.fid, time.Hour), "")
}
