// Package login makes the function login of the configuration. It alone opens
// the private key to sign with.
package login

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/compose/telemetry"
	"github.com/opengundumstyle/audio-alchemist/functions/login"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

// New makes the function. Ask the Opener for its error before use.
func New(c config.Config, o *backend.Opener) http.Handler {
	t := telemetry.Open(c, o)
	return t.Handler("login", login.New(login.Deps{
		Ledger:    o.Ledger(c.LedgerURL),
		Issuer:    o.Issuer(c.SigningKey, token.Options{Issuer: c.Issuer, Audience: c.Audience, TTL: c.TokenTTL}),
		Verifier:  o.Verifier(c.PublicKeys, c.SigningKey, c.Issuer, c.Audience),
		Hasher:    user.NewHasher(user.HasherOptions{}),
		Open:      c.Registration,
		ProxyHops: c.ProxyHops,
		Proxies:   c.TrustedProxies,
	}))
}
