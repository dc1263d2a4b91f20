package token

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Leeway is how far the clocks of the one who signs and the one who verifies
// may be apart.
const Leeway = 5 * time.Second

// maxToken is the longest token looked at, in bytes.
const maxToken = 4096

// Verifier checks tokens with public keys only: it cannot make one. Safe for
// concurrent use.
type Verifier struct {
	keys     KeySet
	audience string
	parser   *jwt.Parser
}

// NewVerifier makes a Verifier of tokens that the issuer made for the
// audience. A nil now is time.Now. An empty set, issuer or audience makes one
// that refuses every token.
func NewVerifier(keys KeySet, issuer, audience string, now func() time.Time) *Verifier {
	if now == nil {
		now = time.Now
	}
	if issuer == "" || audience == "" {
		keys = KeySet{} // the library takes an empty name for "any"
	}
	return &Verifier{
		keys:     keys,
		audience: audience,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
			jwt.WithIssuer(issuer),
			jwt.WithAudience(audience),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(Leeway),
			jwt.WithTimeFunc(now),
			jwt.WithStrictDecoding(),
		),
	}
}

// KeySet returns the keys that tokens are verified with.
func (v *Verifier) KeySet() KeySet { return v.keys }

// Verify returns what a token says. Every token that is not one of ours is
// fail.Unauthorized: no EdDSA signature by a key of the set, another issuer or
// audience, expired or from the future by more than Leeway, longer than 4096
// bytes, or without exp, iat, sub, jti or username.
func (v *Verifier) Verify(token string) (Claims, error) {
	c, err := v.verify(token)
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, jwt.ErrTokenExpired):
		return Claims{}, refuse(err, "This login has expired; log in again.")
	default:
		return Claims{}, refuse(err, "This token is not valid; log in again.")
	}
}

func (v *Verifier) verify(token string) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, errors.New("the token is too long")
	}
	// encoding/base64 passes over line breaks: one token must have one spelling.
	if strings.ContainsAny(token, "\r\n") {
		return Claims{}, errors.New("the token has a line break")
	}
	var p payload
	if _, err := v.parser.ParseWithClaims(token, &p, v.key); err != nil {
		return Claims{}, err
	}
	if p.ExpiresAt == nil || p.IssuedAt == nil || p.Subject == "" || p.ID == "" || p.Username == "" {
		return Claims{}, errors.New("the token lacks a claim")
	}
	if !slices.Contains(p.Audience, v.audience) {
		return Claims{}, jwt.ErrTokenInvalidAudience
	}
	return Claims{
		Issuer:   p.Issuer,
		Audience: v.audience,
		Subject:  p.Subject,
		Username: p.Username,
		Admin:    p.Admin,
		ID:       p.ID,
		IssuedAt: p.IssuedAt.UTC(),
		Expires:  p.ExpiresAt.UTC(),
	}, nil
}

// key finds the key that the header names, and nothing else there is heeded.
func (v *Verifier) key(t *jwt.Token) (any, error) {
	if typ, _ := t.Header["typ"].(string); !strings.EqualFold(typ, "JWT") {
		return nil, errors.New("typ is not JWT")
	}
	if _, there := t.Header["crit"]; there {
		return nil, errors.New("crit names what is not understood") // RFC 7515, 4.1.11
	}
	kid, _ := t.Header["kid"].(string)
	k, ok := v.keys.Key(kid)
	if !ok {
		return nil, errors.New("no key with this kid")
	}
	return k, nil
}

// refuse pairs the cause, for the log, with a text for the client.
func refuse(cause error, text string) error {
	return &fail.Error{Kind: fail.Unauthorized, Msg: cause.Error(), Err: fail.New(fail.Unauthorized, "%s", text)}
}
