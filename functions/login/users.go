package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

const (
	defaultLimit = 20 // length of a page of GET /users
	maxLimit     = 100
)

// member is an account as an administrator sees it.
type member struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Admin     bool      `json:"admin"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	Password  string    `json:"password,omitempty"` // one that was made, this once
}

func memberOf(u user.User) member {
	return member{ID: u.ID, Email: u.Email, Admin: u.Admin, Disabled: u.Disabled, CreatedAt: u.CreatedAt}
}

// members is the answer of GET /users. Next is where the following page is,
// null at the last.
type members struct {
	Users []member `json:"users"`
	Next  *string  `json:"next"`
}

// administrators runs h for who is an administrator by the token, and still by
// the ledger: an account that has lost its rights cannot give them back to
// itself.
func (f *function) administrators(h web.Handler) http.Handler {
	return web.Authenticated(f.Verifier, func(w http.ResponseWriter, r *http.Request, who token.Claims) error {
		refused := fail.New(fail.Forbidden, "Only administrators may do this.")
		if !who.Admin {
			return refused
		}
		still, err := f.Ledger.IsAdmin(r.Context(), who.Subject)
		if err != nil {
			return err
		}
		if !still {
			return refused
		}
		return h(w, r)
	})
}

// named finds the account that the path names, by its id or its address.
func (f *function) named(r *http.Request) (user.User, error) {
	name := r.PathValue("user")
	if uuid.Validate(name) == nil {
		return f.Ledger.UserByID(r.Context(), name)
	}
	return f.Ledger.UserByEmail(r.Context(), user.NormalizeEmail(name))
}

func (f *function) list(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit := defaultLimit
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxLimit {
			return fail.New(fail.Invalid, "limit: want a number from 1 to %d.", maxLimit)
		}
		limit = n
	}
	found, err := f.page(r.Context(), q, limit+1)
	if err != nil {
		return err
	}
	p := members{Users: make([]member, 0, limit)}
	if len(found) > limit {
		found = found[:limit]
		next := "/users?" + url.Values{"after": {found[limit-1].Email}, "limit": {strconv.Itoa(limit)}}.Encode()
		p.Next = &next
	}
	for _, u := range found {
		p.Users = append(p.Users, memberOf(u))
	}
	return web.JSON(w, http.StatusOK, p)
}

// page reads the one account that is asked for by its address, or a page.
func (f *function) page(ctx context.Context, q url.Values, limit int) ([]user.User, error) {
	email := user.NormalizeEmail(q.Get("email"))
	if email == "" {
		return f.Ledger.Users(ctx, user.NormalizeEmail(q.Get("after")), limit)
	}
	u, err := f.Ledger.UserByEmail(ctx, email)
	if fail.Is(err, fail.NotFound) {
		return nil, nil
	}
	return []user.User{u}, err
}

func (f *function) add(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Email    string `json:"email"`
		Password string `json:"password"`
		Admin    bool   `json:"admin"`
	}
	if err := readJSON(w, r, &in, `{"email": "…", "password": "…", "admin": false}`); err != nil {
		return err
	}
	if err := user.CheckEmail(in.Email); err != nil {
		return err
	}
	email := user.NormalizeEmail(in.Email)
	switch _, err := f.Ledger.UserByEmail(r.Context(), email); {
	case err == nil:
		return fail.New(fail.Exists, "There is an account with this address already.")
	case !fail.Is(err, fail.NotFound):
		return err
	}
	hash, chosen, err := f.choose(r.Context(), in.Password)
	if err != nil {
		return err
	}
	u, err := f.Ledger.CreateUser(r.Context(), user.User{Email: email, PasswordHash: hash, Admin: in.Admin})
	if err != nil {
		return err
	}
	slog.InfoContext(r.Context(), "user added", "user", u.ID, "admin", u.Admin)
	m := memberOf(u)
	m.Password = chosen
	return web.JSON(w, http.StatusCreated, m)
}

// choose hashes a password. An empty one is made, and returned.
func (f *function) choose(ctx context.Context, password string) (hash, chosen string, err error) {
	if password == "" {
		chosen = user.NewPassword()
		password = chosen
	} else if err := user.CheckPassword(password); err != nil {
		return "", "", err
	}
	hash, err = f.Hasher.Hash(ctx, password)
	return hash, chosen, err
}

func (f *function) change(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Admin    *bool `json:"admin"`
		Disabled *bool `json:"disabled"`
	}
	if err := readJSON(w, r, &in, `{"admin": true, "disabled": false}, or one of the two`); err != nil {
		return err
	}
	if in.Admin == nil && in.Disabled == nil {
		return fail.New(fail.Invalid, "There is nothing to change: give admin, disabled or both.")
	}
	u, err := f.named(r)
	if err != nil {
		return err
	}
	if u, err = f.Ledger.ChangeUser(r.Context(), u.ID, ledger.UserChange{Admin: in.Admin, Disabled: in.Disabled}); err != nil {
		return err
	}
	slog.InfoContext(r.Context(), "user changed", "user", u.ID, "admin", u.Admin, "disabled", u.Disabled)
	return web.JSON(w, http.StatusOK, memberOf(u))
}

func (f *function) setPassword(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Password string `json:"password"`
	}
	if err := readJSON(w, r, &in, `{"password": "…"}, or {} to have one made`); err != nil {
		return err
	}
	u, err := f.named(r)
	if err != nil {
		return err
	}
	hash, chosen, err := f.choose(r.Context(), in.Password)
	if err != nil {
		return err
	}
	if u, err = f.Ledger.SetPassword(r.Context(), u.ID, hash); err != nil {
		return err
	}
	slog.InfoContext(r.Context(), "password set", "user", u.ID)
	m := memberOf(u)
	m.Password = chosen
	return web.JSON(w, http.StatusOK, m)
}

// readJSON reads a small document of that form, and nothing else.
func readJSON(w http.ResponseWriter, r *http.Request, to any, form string) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fail.New(fail.Unsupported, "Send application/json.")
	}
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil || !errors.Is(d.Decode(new(any)), io.EOF) {
		return fail.New(fail.Invalid, "The body is not JSON of the form %s.", form)
	}
	return nil
}
