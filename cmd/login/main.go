// Command login is the function that knows who people are, by itself.
package main

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/functions/login"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

func main() {
	run.Function(func(c config.Config, o *backend.Opener) http.Handler {
		return login.New(login.Deps{
			Ledger:    o.Ledger(c.LedgerURL),
			Issuer:    o.Issuer(c.SigningKey, token.Options{Issuer: c.Issuer, Audience: c.Audience, TTL: c.TokenTTL}),
			Verifier:  o.Verifier(c.PublicKeys, c.SigningKey, token.Options{Issuer: c.Issuer, Audience: c.Audience}),
			Hasher:    user.NewHasher(user.HasherOptions{}),
			Open:      c.Registration,
			ProxyHops: c.ProxyHops,
		})
	})
}
