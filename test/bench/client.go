package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// client uses the HTTP API as a person does.
type client struct {
	http  *http.Client
	url   string
	token string
}

// bufferSize is large, so that the client costs the server's machine little.
const bufferSize = 256 << 10

// newClient logs in.
func newClient(ctx context.Context, url string) (*client, error) {
	c := &client{url: url, http: &http.Client{Transport: &http.Transport{
		WriteBufferSize: bufferSize, ReadBufferSize: bufferSize, DisableCompression: true,
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/login", nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(adminEmail, adminPassword)
	token, err := c.read(req, http.StatusOK)
	c.token = string(token)
	return c, err
}

// do sends a request and returns the response if it has the status wanted.
func (c *client) do(req *http.Request, want int) (*http.Response, error) {
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != want {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s %s: want %d, got %d %s", req.Method, req.URL.Path, want, resp.StatusCode, body)
	}
	return resp, nil
}

// read sends a request and returns the body of its response.
func (c *client) read(req *http.Request, want int) ([]byte, error) {
	resp, err := c.do(req, want)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	return body, errors.Join(err, resp.Body.Close())
}

// upload sends the file at path, behind fields of the form name=value, and
// returns its job.
func (c *client) upload(ctx context.Context, path string, fields ...string) (job.View, error) {
	f, err := os.Open(path) // #nosec G304 -- made by ourselves
	if err != nil {
		return job.View{}, err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return job.View{}, err
	}
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		if err := form.WriteField(name, value); err != nil {
			return job.View{}, err
		}
	}
	if _, err := form.CreateFormFile("file", st.Name()); err != nil {
		return job.View{}, err
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	length := int64(head.Len()+len(tail)) + st.Size()
	body := io.MultiReader(&head, f, strings.NewReader(tail))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/upload", body)
	if err != nil {
		return job.View{}, err
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", form.FormDataContentType())
	answer, err := c.read(req, http.StatusAccepted)
	if err != nil {
		return job.View{}, err
	}
	var v job.View
	return v, json.Unmarshal(answer, &v)
}

// await follows the events of a job until it has ended, and returns it.
func (c *client) await(ctx context.Context, id string) (job.View, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/jobs/"+id+"/events", nil)
	if err != nil {
		return job.View{}, err
	}
	resp, err := c.do(req, http.StatusOK)
	if err != nil {
		return job.View{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var v job.View
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			return job.View{}, err
		}
		if v.State.Ended() {
			return v, nil
		}
	}
	return job.View{}, errors.Join(errors.New("the events end before the job"), lines.Err())
}

// remove deletes a job and all that belongs to it.
func (c *client) remove(ctx context.Context, id string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.url+"/jobs/"+id, nil)
	if err != nil {
		return err
	}
	_, err = c.read(req, http.StatusNoContent)
	return err
}

// download fetches a result to the file at path and returns its bytes.
func (c *client) download(ctx context.Context, fid, path string) (n int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/download?fid="+fid, nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.do(req, http.StatusOK)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	f, err := os.Create(path) // #nosec G304 -- below our own folder
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.CopyBuffer(struct{ io.Writer }{f}, resp.Body, make([]byte, bufferSize))
}
