// Package download makes the function download of the configuration.
package download

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/compose/telemetry"
	"github.com/opengundumstyle/audio-alchemist/functions/download"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

// New makes the function. Ask the Opener for its error before use.
func New(c config.Config, o *backend.Opener) http.Handler {
	t := telemetry.Open(c, o)
	return t.Handler("download", download.New(download.Deps{
		Ledger:   o.Ledger(c.LedgerURL),
		Blobs:    o.Blobs(c.BlobsURL),
		Verifier: o.Verifier(c.PublicKeys, c.SigningKey, c.Issuer, c.Audience),
		Links:    o.Links(c.LinkKey),
	}))
}
