// Command notify is the function that tells people what became of their jobs, by itself.
package main

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/cmd/internal/run"
	"github.com/opengundumstyle/audio-alchemist/functions/notify"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

func main() {
	run.Function(func(c config.Config, o *backend.Opener) http.Handler {
		return notify.New(notify.Deps{
			Ledger:    o.Ledger(c.LedgerURL),
			Mail:      o.Mail(c.MailURL, c.MailFrom),
			Links:     o.Links(c.LinkKey),
			PublicURL: c.PublicURL,
		})
	})
}
