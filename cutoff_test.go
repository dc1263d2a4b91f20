package alchemist_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// TestADownloadThatALossCutsOffGoesOnWithARange kills the blob store's server
// in the middle of a download. What has come is right, its end is no end, and
// a range gives the rest once the server is back.
func TestADownloadThatALossCutsOffGoesOnWithARange(t *testing.T) {
	mongo := servers.StartMongo(t)
	p := embedded(t)
	p.env = []string{"BLOBS_URL=" + mongo.URL() + "?serverSelectionTimeoutMS=500"}
	s := start(t, p)
	c := s.admin(t)
	link := c.long(t)
	status, whole := c.call(t, "GET", link)
	if status != http.StatusOK || len(whole) < 9<<20 {
		t.Fatalf("the whole: %d, %d bytes, which may fit into the buffers on their way", status, len(whole))
	}

	resp := c.reluctant(t, link)
	got := make([]byte, 1<<20)
	if _, err := io.ReadFull(resp.Body, got); err != nil {
		t.Fatal(err)
	}
	mongo.Kill()
	rest, err := io.ReadAll(resp.Body)
	got = slices.Concat(got, rest)
	if err == nil || len(got) >= len(whole) || !bytes.HasPrefix(whole, got) {
		t.Fatalf("%d of %d bytes came, error %v; want some that are right, and an error", len(got), len(whole), err)
	}
	t.Logf("cut off after %d of %d bytes: %v", len(got), len(whole), err)

	from := fmt.Sprintf("bytes=%d-", len(got))
	if status, body, err := ask(s.url+link, "GET", "", nil, "Range", from); status != http.StatusServiceUnavailable || err != nil {
		t.Errorf("the rest while the server is away: %d %.200s %v, want 503", status, body, err)
	}
	if err := mongo.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitReady(t)
	status, text, err := ask(s.url+link, "GET", "", nil, "Range", from, "If-Range", resp.Header.Get("ETag"))
	if status != http.StatusPartialContent || err != nil || !bytes.Equal(append(got, text...), whole) {
		t.Errorf("the rest: %d, %d bytes, error %v; want 206 and the %d bytes that were missing", status, len(text), err, len(whole)-len(got))
	}
}

// long makes a result of 9 MB and returns the link to it.
func (c *client) long(t *testing.T) string {
	t.Helper()
	contentType, form := multipartForm("long.mp4")
	options := fields(map[string]string{"format": "wav", "sample_rate": "48000", "channels": "stereo"})
	status, body, err := ask(c.url+"/upload", "POST", "Bearer "+c.token,
		io.MultiReader(strings.NewReader(options), form(string(video(t, 50)))), "Content-Type", contentType)
	if status != http.StatusAccepted || err != nil {
		t.Fatalf("upload: %d %s %v", status, body, err)
	}
	j := c.await(t, decode[job.View](t, []byte(body)).ID)
	if j.State != job.Done {
		t.Fatalf("ended %+v", j)
	}
	return j.Results[0].URL
}

// reluctant begins a download over a connection that takes little at a time,
// so that much of it is yet to be sent.
func (c *client) reluctant(t *testing.T, link string) *http.Response {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+link, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("download: %d", resp.StatusCode)
	}
	return resp
}
