package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// Upload sends a file of size bytes with the fields, which are options of the
// conversion, and returns its job. sent is told after each piece how many
// bytes of it there are. A refusal that needs no file is told before the file
// is sent. It is sent again only where it was refused for its token.
func (c *Client) Upload(ctx context.Context, name string, file io.ReaderAt, size int64, fields map[string]string, sent func(int64)) (job.View, error) {
	var j job.View
	head, tail, contentType, err := form(name, fields)
	if err != nil {
		return j, err
	}
	err = c.authorized(ctx, func(token string) error {
		content := &counter{r: io.NewSectionReader(file, 0, size), tell: sent}
		r, err := c.request(ctx, token, http.MethodPost, "/upload", io.MultiReader(bytes.NewReader(head), content, bytes.NewReader(tail)))
		if err != nil {
			return err
		}
		r.ContentLength = int64(len(head)) + size + int64(len(tail))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Expect", "100-continue")
		resp, err := c.send(r)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if err := json.NewDecoder(resp.Body).Decode(&j); err != nil {
			return fail.New(fail.Internal, "%s does not answer as Audio-Alchemist does.", c.Address())
		}
		return nil
	})
	return j, err
}

// form makes what stands before and after the content of the file in a
// multipart form; fields come first, so that a bad one is refused at once.
func form(name string, fields map[string]string) (head, tail []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, field := range options.Names() {
		if v := fields[field]; v != "" {
			err = errors.Join(err, w.WriteField(field, v))
		}
	}
	_, made := w.CreateFormFile("file", name)
	head = slices.Clone(b.Bytes())
	b.Reset()
	if err = errors.Join(err, made, w.Close()); err != nil {
		return nil, nil, "", fail.Wrap(fail.Internal, err, "write the form")
	}
	return head, b.Bytes(), w.FormDataContentType(), nil
}

// counter tells how much has been read.
type counter struct {
	r    io.Reader
	n    int64
	tell func(int64)
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.tell(c.n)
	return n, err
}

const (
	followAgain = 500 * time.Millisecond // to a stream that ended before its job
	followTries = 60                     // that bring nothing, one after the other
)

// Follow returns a job once it has ended; changed is told of the job at once and
// after each change. It goes on when the stream breaks off, for as long as
// the gateway comes back within half a minute.
func (c *Client) Follow(ctx context.Context, id string, changed func(job.View)) (job.View, error) {
	for tries := 1; ; tries++ {
		last, heard, err := c.stream(ctx, id, changed)
		if last.State.Ended() {
			return last, nil
		}
		if heard {
			tries = 1
		}
		if err != nil && !fail.Is(err, fail.Unavailable) || tries >= followTries {
			return last, err
		}
		select {
		case <-time.After(followAgain):
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
}

// stream reads the events of a job until they end.
func (c *Client) stream(ctx context.Context, id string, changed func(job.View)) (last job.View, heard bool, err error) {
	err = c.authorized(ctx, func(token string) (err error) {
		last, heard, err = c.events(ctx, token, id, changed)
		return err
	})
	return last, heard, err
}

func (c *Client) events(ctx context.Context, token, id string, changed func(job.View)) (last job.View, heard bool, err error) {
	r, err := c.request(ctx, token, http.MethodGet, jobPath(id)+"/events", nil)
	if err != nil {
		return last, false, err
	}
	r.Header.Set("Accept", "text/event-stream")
	resp, err := c.send(r)
	if err != nil {
		return last, false, err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if lines.Text() == "event: deleted" {
			return last, heard, fail.New(fail.NotFound, "The job was deleted.")
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(data), &last); err != nil {
			return last, heard, fail.New(fail.Internal, "%s does not answer as Audio-Alchemist does.", c.Address())
		}
		heard = true
		changed(last)
	}
	if err := ctx.Err(); err != nil {
		return last, heard, err
	}
	return last, heard, fail.New(fail.Unavailable, "%s ends the connection.", c.Address())
}

// downloadTries is how often a download is gone on with that brought nothing.
const downloadTries = 5

// Download writes a result to a file that is empty, and goes on where it was
// when the connection breaks. got is told how many bytes there are.
func (c *Client) Download(ctx context.Context, r job.ResultView, to *os.File, got func(int64)) error {
	var at int64
	for tries := 1; ; tries++ {
		n, err := c.part(ctx, r.FID, to, at, got)
		at += n
		switch {
		case err == nil && at == r.Bytes:
			return nil
		case err == nil:
			return fail.New(fail.Internal, "%s has %d bytes and not %d.", r.Name, at, r.Bytes)
		case n > 0:
			tries = 1
		}
		if !fail.Is(err, fail.Unavailable) || tries >= downloadTries {
			return err
		}
		select {
		case <-time.After(followAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// part downloads from an offset on, and returns how much that was.
func (c *Client) part(ctx context.Context, fid string, to io.Writer, at int64, got func(int64)) (n int64, err error) {
	err = c.authorized(ctx, func(token string) (err error) {
		n, err = c.piece(ctx, token, fid, to, at, got)
		return err
	})
	return n, err
}

func (c *Client) piece(ctx context.Context, token, fid string, to io.Writer, at int64, got func(int64)) (int64, error) {
	r, err := c.request(ctx, token, http.MethodGet, "/download?"+url.Values{"fid": {fid}}.Encode(), nil)
	if err != nil {
		return 0, err
	}
	if at > 0 {
		r.Header.Set("Range", "bytes="+strconv.FormatInt(at, 10)+"-")
	}
	resp, err := c.send(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if at > 0 && resp.StatusCode != http.StatusPartialContent {
		return 0, fail.New(fail.Internal, "%s cannot go on with a download.", c.Address())
	}
	read := &counter{r: resp.Body, tell: func(n int64) { got(at + n) }}
	n, err := io.Copy(to, read)
	if err != nil && n < read.n {
		return n, fail.Wrap(fail.Internal, err, "write the file")
	}
	if err != nil {
		return n, c.unreachable(err)
	}
	return n, nil
}
