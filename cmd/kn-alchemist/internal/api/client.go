// Package api is a client of the gateway: what the plugin needs of the API
// that openapi.yaml describes.
//
// Every error has a kind of package fail, that of the problem document where
// the gateway has answered with one; fail.Unavailable where nobody has
// answered. Its text is for a person.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Client talks to one gateway, for one account; see Authorize. Safe for
// concurrent use.
type Client struct {
	base   *url.URL
	http   *http.Client
	tokens tokens
}

const (
	connectWithin  = 10 * time.Second
	continueWithin = 5 * time.Second  // for a function that starts from zero
	answerWithin   = 90 * time.Second // of what is no stream
	maxAnswer      = 16 << 20
)

// New makes a client of the gateway at the address, http or https. Where
// ingress is not empty, it is the HOST:PORT that is connected to instead of
// the address's own; all else goes by the address, the header Host and the
// name in a certificate too. fail.Invalid for what cannot be right.
func New(address, ingress string) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
		return nil, fail.New(fail.Invalid, "The address has to look like http://host:port, without a user or password.")
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	base.RawQuery, base.Fragment = "", ""
	dialer := &net.Dialer{Timeout: connectWithin}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: connectWithin,
		ExpectContinueTimeout: continueWithin, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}
	if ingress != "" {
		if _, _, err := net.SplitHostPort(ingress); err != nil {
			return nil, fail.New(fail.Invalid, "The ingress has to look like HOST:PORT; it was %q.", ingress)
		}
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, ingress)
		}
	}
	return &Client{base: base, http: &http.Client{Transport: transport, CheckRedirect: sameHost}}, nil
}

// sameHost follows redirects of an ingress to TLS, but never takes a token to
// another host.
func sameHost(r *http.Request, via []*http.Request) error {
	if len(via) > 3 || r.URL.Hostname() != via[0].URL.Hostname() || via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	return nil
}

// Address is where the gateway is.
func (c *Client) Address() string { return c.base.String() }

// request makes a request for a path of the API, which may have a query. The
// token is empty for what needs none.
func (c *Client) request(ctx context.Context, token, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, body)
	if err != nil {
		return nil, fail.Wrap(fail.Internal, err, "make a request")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r, nil
}

// send returns the response to a request; any status but 2xx is an error.
func (c *Client) send(r *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, problem(resp)
}

// unreachable is the error of a request that nobody has answered; who has
// cancelled it gets that back.
func (c *Client) unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	return fail.New(fail.Unavailable, "%s does not answer: %v.", c.Address(), err)
}

// kinds are the kinds of package fail by the status that package web gives
// them.
var kinds = map[int]fail.Kind{
	400: fail.Invalid, 401: fail.Unauthorized, 403: fail.Forbidden, 404: fail.NotFound, 409: fail.Exists, 413: fail.TooLarge,
	415: fail.Unsupported, 416: fail.NoSuchRange, 429: fail.RateLimited, 502: fail.Unavailable, 503: fail.Unavailable, 504: fail.Unavailable,
}

// problem reads an error of the gateway, or of whatever answers in its place.
func problem(resp *http.Response) error {
	kind, ok := kinds[resp.StatusCode]
	if !ok {
		kind = fail.Internal
	}
	var p struct {
		Detail string `json:"detail"`
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(body, &p) != nil || p.Detail == "" {
		return fail.New(kind, "%s answers %s.", resp.Request.URL.Host, resp.Status)
	}
	return fail.New(kind, "%s", p.Detail)
}

// call sends in as JSON, unless it is nil, and reads the answer into out,
// unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var text []byte
	if in != nil {
		var err error
		if text, err = json.Marshal(in); err != nil {
			return fail.Wrap(fail.Internal, err, "write a request")
		}
	}
	return c.authorized(ctx, func(token string) error { return c.once(ctx, token, method, path, text, out) })
}

// once sends one request, whose JSON is nil for none, and reads its answer.
func (c *Client) once(ctx context.Context, token, method, path string, in []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := c.request(ctx, token, method, path, bytes.NewReader(in))
	if err != nil {
		return err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Accept", "application/json")
	resp, err := c.send(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.unreachable(err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fail.New(fail.Internal, "%s does not answer as Audio-Alchemist does.", c.Address())
	}
	return nil
}
