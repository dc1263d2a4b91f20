// Package login is the function that knows who people are: POST /login trades
// a password for a token, POST /validate tells what a token says, POST
// /register makes an account where that is open, and GET
// /.well-known/jwks.json publishes the keys that verify tokens. Below /users
// administrators see and change accounts.
//
// It is the only function that can sign a token.
package login

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
	"unicode/utf8"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Deps is what login works with.
type Deps struct {
	Ledger    *ledger.Ledger
	Issuer    *token.Issuer
	Verifier  *token.Verifier
	Hasher    *user.Hasher
	Open      bool             // whether anybody may register
	ProxyHops int              // proxies in front whose X-Forwarded-For is believed; 0 for none
	Proxies   []netip.Prefix   // networks that they are in, where their number varies
	Now       func() time.Time // nil means the ledger's clock
}

type function struct {
	Deps
	gate gate
}

// New makes the function.
func New(d Deps) http.Handler {
	if d.Now == nil {
		d.Now = func() time.Time { return d.Ledger.Now() }
	}
	f := &function{Deps: d}
	f.gate.failures = func(ctx context.Context, p pair) (int, time.Time, error) {
		return f.count(ctx, p)
	}
	f.gate.now = d.Now
	var mux web.Mux
	mux.Handle("POST /login", web.Handler(f.login))
	mux.Handle("POST /validate", web.Authenticated(d.Verifier, validate))
	mux.Handle("POST /register", web.Handler(f.register))
	mux.Handle("GET /.well-known/jwks.json", web.Handler(f.keys))
	mux.Handle("GET /users", f.administrators(f.list))
	mux.Handle("POST /users", f.administrators(f.add))
	mux.Handle("PATCH /users/{user}", f.administrators(f.change))
	mux.Handle("PUT /users/{user}/password", f.administrators(f.setPassword))
	return &mux
}

// count counts the failed logins of a pair, and those of its account from
// wherever. An account with too many has none left from any address: where
// clients are told apart by what a proxy says of them, one could say that it
// is another each time.
func (f *function) count(ctx context.Context, p pair) (n int, oldest time.Time, err error) {
	since := f.Now().Add(-ledger.FailureWindow)
	n, oldest, err = f.Ledger.LoginFailures(ctx, p.account, p.address, since)
	if err != nil || n >= maxFailures {
		return n, oldest, err
	}
	all, first, err := f.Ledger.LoginFailures(ctx, p.account, "", since)
	if err == nil && all >= maxAccountFailures {
		return maxFailures, first, nil
	}
	return n, oldest, err
}

// answer is what POST /login says in JSON (RFC 6749, 5.1).
type answer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
}

// login answers the bare token as text, as the original system did, or JSON
// where the client prefers it.
func (f *function) login(w http.ResponseWriter, r *http.Request) error {
	signed, claims, err := f.issue(r)
	if fail.Is(err, fail.Unauthorized) {
		w.Header().Set("WWW-Authenticate", `Basic realm="audio-alchemist", charset="UTF-8"`)
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
	if prefersJSON(r.Header.Values("Accept")) {
		expiresIn := int64(claims.Expires.Sub(claims.IssuedAt) / time.Second)
		return web.JSON(w, http.StatusOK, answer{AccessToken: signed, TokenType: "Bearer", ExpiresIn: expiresIn})
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, signed) // a client that is gone has no use for it
	return nil
}

// issue makes a token for the user of the request's Basic credentials.
func (f *function) issue(r *http.Request) (string, token.Claims, error) {
	email, password, ok := r.BasicAuth()
	if !ok || email == "" || !utf8.ValidString(email+password) {
		return "", token.Claims{}, fail.New(fail.Unauthorized, "Send the email address and the password with Basic authentication.")
	}
	who, err := f.authenticate(r, email, password)
	if err != nil {
		return "", token.Claims{}, err
	}
	return f.Issuer.Issue(who.ID, who.Email, who.Admin)
}

// settleIn bounds what is written down after a guess, even if the client has
// gone by then.
const settleIn = 10 * time.Second

// authenticate finds the user whose password it is. An unknown user and a
// wrong password are the same: the same error, after the same work. That an
// account is disabled is told only to who has its password.
func (f *function) authenticate(r *http.Request, email, password string) (user.User, error) {
	ctx := r.Context()
	email = user.NormalizeEmail(email)
	p := pair{account: accountKey(email), address: clientAddress(r, f.ProxyHops, f.Proxies)}
	failed, leave, err := f.gate.enter(ctx, p)
	if err != nil {
		return user.User{}, err
	}
	defer leave()
	who, ok, err := f.verify(ctx, email, password)
	if err != nil {
		return user.User{}, err
	}
	// A client that hangs up before the answer has guessed all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
	defer cancel()
	if !ok {
		slog.InfoContext(ctx, "login failed", "user", who.ID)
		if err := f.Ledger.RecordLoginFailure(ctx, p.account, p.address); err != nil {
			return user.User{}, err
		}
		return user.User{}, fail.New(fail.Unauthorized, "The email address or the password is wrong.")
	}
	if failed > 0 {
		if err := f.Ledger.ClearLoginFailures(ctx, p.account, p.address); err != nil {
			return user.User{}, err
		}
	}
	if who.Disabled {
		slog.InfoContext(ctx, "login refused: the account is disabled", "user", who.ID)
		return user.User{}, fail.New(fail.Forbidden, "This account is disabled; ask an administrator.")
	}
	slog.InfoContext(ctx, "login ok", "user", who.ID)
	return who, nil
}

// verify reports whether the password is that of the user with the address;
// the user is returned, if there is one, even where it is not.
func (f *function) verify(ctx context.Context, email, password string) (user.User, bool, error) {
	who, err := f.Ledger.UserByEmail(ctx, email)
	if fail.Is(err, fail.NotFound) {
		return user.User{}, false, f.Hasher.VerifyUnknown(ctx, password)
	}
	if err != nil {
		return user.User{}, false, err
	}
	ok, err := f.Hasher.Verify(ctx, who.PasswordHash, password)
	return who, ok, err
}

func validate(w http.ResponseWriter, _ *http.Request, who token.Claims) error {
	return web.JSON(w, http.StatusOK, who)
}

// keys publishes the public keys; they may be cached for some minutes.
func (f *function) keys(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "public, max-age=300")
	return web.JSON(w, http.StatusOK, f.Verifier.KeySet().With(f.Issuer.KeySet()))
}
