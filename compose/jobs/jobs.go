// Package jobs makes the function jobs of the configuration.
package jobs

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/compose/telemetry"
	"github.com/opengundumstyle/audio-alchemist/functions/jobs"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

// New makes the function. Ask the Opener for its error before use.
func New(c config.Config, o *backend.Opener) http.Handler {
	t := telemetry.Open(c, o)
	return t.Handler("jobs", jobs.New(jobs.Deps{
		Ledger:   o.Ledger(c.LedgerURL),
		Blobs:    o.Blobs(c.BlobsURL),
		Events:   o.Events(c.Sink),
		Verifier: o.Verifier(c.PublicKeys, c.SigningKey, c.Issuer, c.Audience),
		Links:    o.Links(c.LinkKey),
	}))
}
