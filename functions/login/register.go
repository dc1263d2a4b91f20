package login

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

const (
	maxForm = 8 << 10 // bytes of a registration, or of a change of an account
)

// form is the body of POST /register, as JSON or URL-encoded.
type form struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// account is the answer of POST /register.
type account struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

func (f *function) register(w http.ResponseWriter, r *http.Request) error {
	if !f.Open {
		return fail.New(fail.Forbidden, "Registration is closed; ask an administrator for an account.")
	}
	in, err := readForm(w, r)
	if err != nil {
		return err
	}
	if err := user.CheckEmail(in.Email); err != nil {
		return err
	}
	if err := user.CheckPassword(in.Password); err != nil {
		return err
	}
	ctx, email := r.Context(), user.NormalizeEmail(in.Email)
	switch _, err := f.Ledger.UserByEmail(ctx, email); {
	case err == nil:
		return fail.New(fail.Exists, "There is an account with this address already.")
	case !fail.Is(err, fail.NotFound):
		return err
	}
	hash, err := f.Hasher.Hash(ctx, in.Password)
	if err != nil {
		return err
	}
	who, err := f.Ledger.CreateUser(ctx, user.User{Email: email, PasswordHash: hash})
	if err != nil {
		return err
	}
	slog.InfoContext(ctx, "user registered", "user", who.ID)
	return web.JSON(w, http.StatusCreated, account{ID: who.ID, Email: who.Email})
}

func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && kind != "application/x-www-form-urlencoded" {
		return form{}, fail.New(fail.Unsupported, "Send email and password as application/json or application/x-www-form-urlencoded.")
	}
	body, err := readBody(w, r)
	if err != nil {
		return form{}, err
	}
	if kind == "application/json" {
		var in form
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil || !errors.Is(d.Decode(new(any)), io.EOF) {
			return form{}, fail.New(fail.Invalid, `The body is not JSON of the form {"email": "…", "password": "…"}.`)
		}
		return in, nil
	}
	q, err := url.ParseQuery(string(body))
	if err != nil || len(q["email"]) > 1 || len(q["password"]) > 1 {
		return form{}, fail.New(fail.Invalid, "The body is not a form with one email and one password.")
	}
	return form{Email: q.Get("email"), Password: q.Get("password")}, nil
}

// readBody reads a small body.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return nil, fail.New(fail.TooLarge, "The body is larger than %d bytes.", maxForm)
	}
	return body, fail.Wrap(fail.Invalid, err, "read the body")
}
