package web

import (
	"net/http"
	"strings"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

// Authenticated runs h for requests with a bearer token (RFC 6750) that the
// verifier accepts, and hands it the claims; others get a 401.
func Authenticated(v *token.Verifier, h func(http.ResponseWriter, *http.Request, token.Claims) error) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		claims, err := Bearer(v, r)
		if err != nil {
			return err
		}
		return h(w, r, claims)
	}
}

// Bearer verifies the bearer token of a request. It is fail.Unauthorized
// where there is none, or one that the verifier does not accept.
func Bearer(v *token.Verifier, r *http.Request) (token.Claims, error) {
	scheme, raw, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return token.Claims{}, fail.New(fail.Unauthorized, "Log in first: this needs a bearer token.")
	}
	return v.Verify(strings.TrimSpace(raw))
}
