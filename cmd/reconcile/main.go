// Command reconcile is the function that lets no job end in silence, by itself.
package main

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/functions/reconcile"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
)

func main() {
	run.Function(func(c config.Config, o *backend.Opener) http.Handler {
		return reconcile.New(reconcile.Deps{
			Ledger:    o.Ledger(c.LedgerURL),
			Blobs:     o.Blobs(c.BlobsURL),
			Events:    event.NewSender(c.Sink),
			Retention: c.Retention,
			OrphanAge: c.OrphanAge,
		})
	})
}
