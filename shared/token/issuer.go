package token

import (
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Options sets up an Issuer. All but Now are required.
type Options struct {
	Issuer   string           // iss of every token
	Audience string           // aud of every token
	TTL      time.Duration    // from issue to expiry, at least a second
	Now      func() time.Time // the clock; default time.Now
}

// Issuer signs tokens. Only the login function has one. Safe for concurrent
// use.
type Issuer struct {
	key ed25519.PrivateKey
	kid string
	o   Options
}

// NewIssuer makes an Issuer; fail.Invalid for a key of the wrong size, an empty
// issuer or audience, or a TTL below one second.
func NewIssuer(key ed25519.PrivateKey, o Options) (*Issuer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fail.New(fail.Invalid, "the signing key is not an Ed25519 private key")
	}
	if o.Issuer == "" || o.Audience == "" {
		return nil, fail.New(fail.Invalid, "a token needs an issuer and an audience")
	}
	if o.TTL < time.Second {
		return nil, fail.New(fail.Invalid, "a token must be valid for at least 1s, not %v", o.TTL)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Issuer{key: key, kid: KeyID(key.Public().(ed25519.PublicKey)), o: o}, nil
}

// KeySet returns the set of the one public key that verifies this issuer's
// tokens.
func (i *Issuer) KeySet() KeySet {
	return NewKeySet(i.key.Public().(ed25519.PublicKey))
}

// Issue signs a token for the user and returns it with what it says.
func (i *Issuer) Issue(userID, username string, admin bool) (string, Claims, error) {
	if userID == "" || username == "" {
		return "", Claims{}, fail.Wrap(fail.Internal, errors.New("no user id or no username"), "issue token")
	}
	now := i.o.Now().UTC().Truncate(time.Second)
	c := Claims{
		Issuer:   i.o.Issuer,
		Audience: i.o.Audience,
		Subject:  userID,
		Username: username,
		Admin:    admin,
		ID:       uuid.NewString(),
		IssuedAt: now,
		Expires:  now.Add(i.o.TTL).Truncate(time.Second),
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c.payload())
	t.Header["kid"] = i.kid
	signed, err := t.SignedString(i.key)
	if err != nil {
		return "", Claims{}, fail.Wrap(fail.Internal, err, "sign token")
	}
	if len(signed) > maxToken {
		return "", Claims{}, fail.Wrap(fail.Internal, errors.New("token is too long to verify"), "issue token")
	}
	return signed, c, nil
}
