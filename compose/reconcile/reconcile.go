// Package reconcile makes the function reconcile of the configuration.
package reconcile

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/compose/telemetry"
	"github.com/opengundumstyle/audio-alchemist/functions/reconcile"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

// New makes the function. Ask the Opener for its error before use.
func New(c config.Config, o *backend.Opener) http.Handler {
	t := telemetry.Open(c, o)
	return t.Handler("reconcile", reconcile.New(reconcile.Deps{
		Metrics:   t.Metrics(),
		Ledger:    o.Ledger(c.LedgerURL),
		Blobs:     o.Blobs(c.BlobsURL),
		Events:    o.Events(c.Sink),
		Retention: c.Retention,
		OrphanAge: c.OrphanAge,
	}))
}
