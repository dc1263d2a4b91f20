package alchemist

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/functions/convert"
	"github.com/opengundumstyle/audio-alchemist/functions/download"
	"github.com/opengundumstyle/audio-alchemist/functions/gateway"
	"github.com/opengundumstyle/audio-alchemist/functions/jobs"
	"github.com/opengundumstyle/audio-alchemist/functions/login"
	"github.com/opengundumstyle/audio-alchemist/functions/notify"
	"github.com/opengundumstyle/audio-alchemist/functions/reconcile"
	"github.com/opengundumstyle/audio-alchemist/functions/upload"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
	"github.com/opengundumstyle/audio-alchemist/shared/media"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

// stores is what the functions are made of.
type stores struct {
	config   config.Config
	ledger   *ledger.Ledger
	blobs    blob.Store
	mail     mail.Sender
	media    media.Tools
	issuer   *token.Issuer
	verifier *token.Verifier
	links    *token.Links
	hasher   *user.Hasher
	events   *event.Sender
}

// openStores opens all of them. Ask the Opener for its error before use.
func openStores(c config.Config, o *backend.Opener) stores {
	tokens := token.Options{Issuer: c.Issuer, Audience: c.Audience, TTL: c.TokenTTL}
	return stores{
		config:   c,
		media:    o.Media(c.FFmpeg, c.FFprobe),
		ledger:   o.Ledger(c.LedgerURL),
		blobs:    o.Blobs(c.BlobsURL),
		mail:     o.Mail(c.MailURL, c.MailFrom),
		issuer:   o.Issuer(c.SigningKey, tokens),
		verifier: o.Verifier(c.PublicKeys, c.SigningKey, tokens),
		links:    o.Links(c.LinkKey),
		hasher:   user.NewHasher(user.HasherOptions{}),
		events:   event.NewSender(c.Sink),
	}
}

// functions makes every function but the gateway, by name.
func (s stores) functions() map[string]http.Handler {
	c := s.config
	return map[string]http.Handler{
		"login": login.New(login.Deps{
			Ledger: s.ledger, Issuer: s.issuer, Verifier: s.verifier, Hasher: s.hasher,
			Open: c.Registration, ProxyHops: c.ProxyHops,
		}),
		"upload": upload.New(upload.Deps{
			Ledger: s.ledger, Blobs: s.blobs, Events: s.events, Verifier: s.verifier, Links: s.links, MaxBytes: c.MaxUpload,
		}),
		"convert": convert.New(convert.Deps{
			Ledger: s.ledger, Blobs: s.blobs, Media: s.media, WorkDir: c.WorkDir, Timeout: c.ConvertTimeout, Bitrate: c.Bitrate,
		}),
		"notify": notify.New(notify.Deps{
			Ledger: s.ledger, Mail: s.mail, Links: s.links, PublicURL: c.PublicURL,
		}),
		"download": download.New(download.Deps{
			Ledger: s.ledger, Blobs: s.blobs, Verifier: s.verifier, Links: s.links,
		}),
		"jobs": jobs.New(jobs.Deps{
			Ledger: s.ledger, Blobs: s.blobs, Events: s.events, Verifier: s.verifier, Links: s.links,
		}),
		"reconcile": reconcile.New(reconcile.Deps{
			Ledger: s.ledger, Blobs: s.blobs, Events: s.events, Retention: c.Retention, OrphanAge: c.OrphanAge,
		}),
	}
}

// origin puts the functions that people call behind one gateway.
func origin(functions map[string]http.Handler) http.Handler {
	return gateway.New(gateway.Deps{Routes: functions})
}
