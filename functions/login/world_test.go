package login

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
	"github.com/opengundumstyle/audio-alchemist/test/clock"
)

const (
	email    = "anna@example.org"
	password = "correct horse: battery"
)

// world is the function over a real ledger with one user, anna.
type world struct {
	Deps
	anna  user.User
	log   *safeBuffer
	clock *clock.Clock
	url   string
}

func start(t *testing.T, change func(*Deps)) *world {
	t.Helper()
	l, err := ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c := clock.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	l.Now = c.Now
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := token.NewIssuer(key, token.Options{Issuer: "test", Audience: "test", TTL: time.Hour, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{log: &safeBuffer{}, clock: c, Deps: Deps{
		Ledger: l, Issuer: issuer, Verifier: token.NewVerifier(issuer.KeySet(), "test", "test", c.Now),
		Hasher: user.NewHasher(user.HasherOptions{Concurrent: 2, Wait: time.Minute}), ProxyHops: 1,
	}}
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	slog.SetDefault(slog.New(slog.NewTextHandler(w.log, nil)))
	if change != nil {
		change(&w.Deps)
	}
	w.anna = w.add(t, email, true)
	w.url = w.serve(t)
	return w
}

// serve starts one more instance of the function.
func (w *world) serve(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(New(w.Deps))
	t.Cleanup(srv.Close)
	return srv.URL
}

// add makes a user whose password is password.
func (w *world) add(t *testing.T, email string, admin bool) user.User {
	t.Helper()
	hash, err := w.Hasher.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	u, err := w.Ledger.CreateUser(t.Context(), user.User{Email: email, PasswordHash: hash, Admin: admin})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request; header is name, value, name, value.
func do(t *testing.T, method, url, body string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return send(t, req)
}

func send(t *testing.T, req *http.Request) reply {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return reply{}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return reply{resp.StatusCode, resp.Header, string(data)}
}

// login posts Basic credentials to the instance at url, from the address.
func login(t *testing.T, url, email, password, address string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(email, password)
	req.Header.Set("X-Forwarded-For", address)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return send(t, req)
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
