// Package backend opens the stores that the functions work with, each by the
// scheme of its URL, so that a main says in one line what it needs.
package backend

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/files"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/maildir"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/smtp"
	"github.com/opengundumstyle/audio-alchemist/shared/media"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

// Opener opens stores one after another. After the first failure it opens
// nothing more and returns zero values: ask Err once, before any is used.
type Opener struct {
	ctx   context.Context
	err   error
	ready []func(context.Context) error
	close []func() error
}

// New makes an Opener; ctx bounds the opening of each store.
func New(ctx context.Context) *Opener { return &Opener{ctx: ctx} }

// Err returns what kept a store from being opened; it names the store.
func (o *Opener) Err() error { return o.err }

// Ready reports whether every opened store can be used now.
func (o *Opener) Ready(ctx context.Context) error {
	for _, ready := range o.ready {
		if err := ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close closes every opened store, the last one first.
func (o *Opener) Close() error {
	var errs []error
	for i := len(o.close) - 1; i >= 0; i-- {
		errs = append(errs, o.close[i]())
	}
	o.close = nil
	return errors.Join(errs...)
}

// open runs f unless an earlier one has failed, and keeps its error.
func open[T any](o *Opener, what string, f func() (T, error)) T {
	var zero T
	if o.err != nil {
		return zero
	}
	v, err := f()
	if err != nil {
		o.err = fail.Wrap(fail.KindOf(err), err, "%s", what)
		return zero
	}
	return v
}

// Ledger opens the ledger of users and jobs: sqlite:PATH.
func (o *Opener) Ledger(address string) *ledger.Ledger {
	return open(o, "LEDGER_URL", func() (*ledger.Ledger, error) {
		l, err := ledger.Open(o.ctx, address)
		if err != nil {
			return nil, err
		}
		o.ready, o.close = append(o.ready, l.Ready), append(o.close, l.Close)
		return l, nil
	})
}

// Blobs opens the store of videos and results: file:FOLDER.
func (o *Opener) Blobs(address string) blob.Store {
	return open(o, "BLOBS_URL", func() (blob.Store, error) {
		dir, ok := strings.CutPrefix(address, "file:")
		if !ok {
			return nil, unknown("file:FOLDER")
		}
		s, err := files.Open(dir)
		if err != nil {
			return nil, err
		}
		o.ready = append(o.ready, s.Ready)
		return s, nil
	})
}

// Mail opens the way mails go: maildir:FOLDER, smtp://… or smtps://….
func (o *Opener) Mail(address, from string) mail.Sender {
	return open(o, "MAIL_URL", func() (mail.Sender, error) {
		switch scheme, rest, _ := strings.Cut(address, ":"); scheme {
		case "maildir":
			return maildir.New(rest, from)
		case "smtp", "smtps":
			return smtp.New(address, smtp.Options{From: from})
		default:
			return nil, unknown("maildir:FOLDER, smtp://… or smtps://…")
		}
	})
}

// Media finds the media tools; an empty name is looked up in PATH.
func (o *Opener) Media(ffmpeg, ffprobe string) media.Tools {
	return open(o, "ffmpeg", func() (media.Tools, error) { return media.Find(ffmpeg, ffprobe) })
}

// Issuer makes the issuer of tokens with the private key in the file, which is
// made if it is missing. Only login has one.
func (o *Opener) Issuer(keyFile string, opts token.Options) *token.Issuer {
	return open(o, "TOKEN_SIGNING_KEY", func() (*token.Issuer, error) {
		key, err := token.LoadOrCreateKey(keyFile)
		if err != nil {
			return nil, err
		}
		return token.NewIssuer(key, opts)
	})
}

// Verifier makes the verifier of tokens. Its keys are the key set in the file
// publicKeys, or the public half of the private key where that is empty, as
// on one machine.
func (o *Opener) Verifier(publicKeys, keyFile string, opts token.Options) *token.Verifier {
	return open(o, "TOKEN_PUBLIC_KEYS", func() (*token.Verifier, error) {
		keys, err := keySet(publicKeys, keyFile)
		if err != nil {
			return nil, err
		}
		return token.NewVerifier(keys, opts.Issuer, opts.Audience, opts.Now), nil
	})
}

func keySet(publicKeys, keyFile string) (token.KeySet, error) {
	if publicKeys == "" {
		key, err := token.LoadOrCreateKey(keyFile)
		if err != nil {
			return token.KeySet{}, err
		}
		return token.NewKeySet(key.Public().(ed25519.PublicKey)), nil
	}
	data, err := os.ReadFile(publicKeys)
	if err != nil {
		return token.KeySet{}, fail.Wrap(fail.Unavailable, err, "read key set")
	}
	return token.ParseKeySet(data)
}

// Links makes the signer of download links with the secret in the file, which
// is made if it is missing.
func (o *Opener) Links(keyFile string) *token.Links {
	return open(o, "LINK_KEY", func() (*token.Links, error) {
		secret, err := token.LoadOrCreateSecret(keyFile)
		if err != nil {
			return nil, err
		}
		return token.NewLinks(secret, nil), nil
	})
}

// Address reads the address of a function that name says where to find; it
// must be there.
func (o *Opener) Address(name, address string) *url.URL {
	return open(o, name, func() (*url.URL, error) {
		if address == "" {
			return nil, fail.New(fail.Invalid, "want the address of the function, found nothing")
		}
		u, err := url.Parse(address)
		return u, fail.Wrap(fail.Invalid, err, "read address")
	})
}

func unknown(want string) error { return fail.New(fail.Invalid, "unknown address, want %s", want) }
