// Package token makes and checks what proves who is asking: JSON web tokens
// signed with Ed25519 (RFC 7519, RFC 8037), the public keys that verify them,
// and signed links that work without logging in.
package token

import (
	"encoding/json"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims is what a token says, after Verifier has checked it.
type Claims struct {
	Issuer   string    // iss
	Audience string    // aud; the one that was asked for
	Subject  string    // sub: the user's id
	Username string    // username: the user's email address
	Admin    bool      // admin
	ID       string    // jti: a UUID, unique to the token
	IssuedAt time.Time // iat; UTC, whole seconds
	Expires  time.Time // exp; UTC, whole seconds
}

// MarshalJSON writes the claims under their JWT names, times in Unix seconds.
func (c Claims) MarshalJSON() ([]byte, error) { return json.Marshal(c.payload()) }

// payload is the JWT claims set on the wire.
type payload struct {
	Username string `json:"username"`
	Admin    bool   `json:"admin"`
	jwt.RegisteredClaims
}

func (c Claims) payload() payload {
	return payload{
		Username: c.Username,
		Admin:    c.Admin,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    c.Issuer,
			Audience:  jwt.ClaimStrings{c.Audience},
			Subject:   c.Subject,
			ID:        c.ID,
			IssuedAt:  jwt.NewNumericDate(c.IssuedAt),
			ExpiresAt: jwt.NewNumericDate(c.Expires),
		},
	}
}
