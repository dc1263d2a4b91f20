// Package notify makes the function notify of the configuration.
package notify

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/compose/telemetry"
	"github.com/opengundumstyle/audio-alchemist/functions/notify"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

// New makes the function. Ask the Opener for its error before use.
func New(c config.Config, o *backend.Opener) http.Handler {
	t := telemetry.Open(c, o)
	return t.Handler("notify", notify.New(notify.Deps{
		Metrics:   t.Metrics(),
		Ledger:    o.Ledger(c.LedgerURL),
		Mail:      o.Mail(c.MailURL, c.MailFrom),
		Links:     o.Links(c.LinkKey),
		PublicURL: c.PublicURL,
	}))
}
