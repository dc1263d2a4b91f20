package gateway

import (
	"context"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Proxy returns a handler that passes every request on to the service at
// target, below target's path, and its response back. Both bodies stream:
// nothing is held back until an upload or a response is complete. The Host is
// that of target, by which Knative routes; X-Forwarded-For gets the caller's
// address appended, X-Forwarded-Host and -Proto tell how the caller asked.
// When the caller leaves, the request to the service is cancelled; when the
// server drains, event streams end. A service that cannot be reached answers
// 503 as problem JSON.
func Proxy(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { rewrite(r, target) },
		Transport:      telemetry.Transport(newTransport()),
		FlushInterval:  -1,
		ModifyResponse: endWithServer,
		ErrorHandler:   unreachable,
		ErrorLog:       slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
}

func rewrite(r *httputil.ProxyRequest, target *url.URL) {
	r.SetURL(target) // sets Out.Host to the target's as well
	r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
	r.SetXForwarded()
	// TLS ends before the gateway: what the ingress said about it stays.
	for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Host"} {
		if v := r.In.Header.Get(name); v != "" {
			r.Out.Header.Set(name, v)
		}
	}
}

// newTransport makes connections inside a cluster: never through the proxy of
// the environment, never with compression of its own (a Range counts the
// bytes that the service stores). There is no limit on the time to the first
// header, because an upload is answered when it is stored.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		DisableCompression:    true,
		ExpectContinueTimeout: 10 * time.Second, // a service that starts from zero needs a moment
		IdleConnTimeout:       60 * time.Second,
		MaxIdleConnsPerHost:   64,
		TLSHandshakeTimeout:   10 * time.Second,
	}
}

// unreachable answers for a service that gave no response.
func unreachable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the caller has gone, and with it the one who could read an answer
	}
	web.Error(w, r, fail.Wrap(fail.Unavailable, err, "pass on to the service"))
}

// endWithServer makes an event stream end, cleanly, when this server drains:
// the stream of a service that stays up would hold the server otherwise.
func endWithServer(res *http.Response) error {
	mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if mediaType != "text/event-stream" {
		return nil
	}
	s := &stream{ReadCloser: res.Body, closed: make(chan struct{})}
	go s.watch(res.Request.Context())
	res.Body = s
	return nil
}

// stream is a body that ends with io.EOF once the server drains.
type stream struct {
	io.ReadCloser
	once    sync.Once
	closed  chan struct{}
	drained bool // written before closed is closed
}

// watch ends when the server drains or the body is closed, which
// httputil.ReverseProxy always does.
func (s *stream) watch(ctx context.Context) {
	select {
	case <-web.Draining(ctx):
		_ = s.finish(true) // its reader sees the end
	case <-s.closed:
	}
}

func (s *stream) finish(drained bool) error {
	var err error
	s.once.Do(func() {
		s.drained = drained
		close(s.closed)
		err = s.ReadCloser.Close()
	})
	return err
}

// Read returns io.EOF in place of the error of a body that watch has closed.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil {
		select {
		case <-s.closed:
			if s.drained {
				return n, io.EOF
			}
		default:
		}
	}
	return n, err
}

// Close closes the body and lets watch end.
func (s *stream) Close() error { return s.finish(false) }
