package alchemist

import (
	"crypto/ed25519"
	"encoding/json"
	"io"

	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

// MakeKeys makes the files of TOKEN_SIGNING_KEY and LINK_KEY that are not there
// yet, and writes the key set that verifies tokens (JWKS, RFC 7517) to out: that
// of TOKEN_PUBLIC_KEYS, if there is one, and the key of TOKEN_SIGNING_KEY. It is
// the value of TOKEN_PUBLIC_KEYS for functions that may not sign.
func MakeKeys(c config.Config, out io.Writer) error {
	key, err := token.LoadOrCreateKey(c.SigningKey)
	if err != nil {
		return fail.Wrap(fail.KindOf(err), err, "TOKEN_SIGNING_KEY")
	}
	if _, err := token.LoadOrCreateSecret(c.LinkKey); err != nil {
		return fail.Wrap(fail.KindOf(err), err, "LINK_KEY")
	}
	var known token.KeySet
	if c.PublicKeys != "" {
		if known, err = backend.KeySet(c.PublicKeys); err != nil {
			return fail.Wrap(fail.KindOf(err), err, "TOKEN_PUBLIC_KEYS")
		}
	}
	set, err := json.Marshal(known.With(token.NewKeySet(key.Public().(ed25519.PublicKey))))
	if err != nil {
		return fail.Wrap(fail.Internal, err, "write the key set")
	}
	_, err = out.Write(append(set, '\n'))
	return fail.Wrap(fail.Internal, err, "print the key set")
}
