// Command upload is the function that takes videos, by itself.
package main

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/functions/upload"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

func main() {
	run.Function(func(c config.Config, o *backend.Opener) http.Handler {
		return upload.New(upload.Deps{
			Ledger:   o.Ledger(c.LedgerURL),
			Blobs:    o.Blobs(c.BlobsURL),
			Events:   event.NewSender(c.Sink),
			Verifier: o.Verifier(c.PublicKeys, c.SigningKey, token.Options{Issuer: c.Issuer, Audience: c.Audience}),
			Links:    o.Links(c.LinkKey),
			MaxBytes: c.MaxUpload,
		})
	})
}
