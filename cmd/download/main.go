// Command download is the function that gives results out, by itself.
package main

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/functions/download"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

func main() {
	run.Function(func(c config.Config, o *backend.Opener) http.Handler {
		return download.New(download.Deps{
			Ledger:   o.Ledger(c.LedgerURL),
			Blobs:    o.Blobs(c.BlobsURL),
			Verifier: o.Verifier(c.PublicKeys, c.SigningKey, token.Options{Issuer: c.Issuer, Audience: c.Audience}),
			Links:    o.Links(c.LinkKey),
		})
	})
}
