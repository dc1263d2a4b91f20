// Package backend opens the stores that the functions work with, each by the
// scheme of its URL, so that a main says in one line what it needs.
package backend

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/files"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/gridfs"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/maildir"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/smtp"
	"github.com/opengundumstyle/audio-alchemist/shared/media"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

// Opener opens stores one after another, each address once: who asks for it
// again gets the same store. After the first failure it opens nothing more and
// returns zero values: ask Err once, before any is used. Opening is for one
// goroutine, what it has opened and Ready are for many.
//
// An embedded store (sqlite:, file:, queue:, maildir:) that cannot be used
// fails at once. A server may be away: its store is opened all the same, and
// Ready tells when it can be used.
type Opener struct {
	ctx    context.Context
	err    error
	opened map[key]any
	checks []*check
	close  []func() error
}

// key is what a store is known by: the variable that names it and all that
// it was opened with.
type key struct {
	variable string
	with     any
}

// New makes an Opener; ctx bounds the opening of each store.
func New(ctx context.Context) *Opener { return &Opener{ctx: ctx, opened: map[key]any{}} }

// Err returns what kept a store from being opened; it names the store.
func (o *Opener) Err() error { return o.err }

// Close closes every opened store, the last one first.
func (o *Opener) Close() error {
	var errs []error
	for i := len(o.close) - 1; i >= 0; i-- {
		errs = append(errs, o.close[i]())
	}
	o.close = nil
	return errors.Join(errs...)
}

// open returns what was opened before for the same variable with the same
// values, or what f opens, unless an earlier one has failed. It keeps the error of f.
func open[T any](o *Opener, variable string, with any, f func() (T, error)) T {
	var zero T
	if o.err != nil {
		return zero
	}
	if v, ok := o.opened[key{variable, with}]; ok {
		return v.(T)
	}
	v, err := f()
	if err != nil {
		o.err = fail.Wrap(fail.KindOf(err), err, "%s", variable)
		return zero
	}
	o.opened[key{variable, with}] = v
	return v
}

// Store is what opening something else than the stores of this package has to
// say of it.
type Store struct {
	Name  string                      // for people; of what Ready asks
	Ready func(context.Context) error // nil: always
	Close func() error
}

// Open opens something else by the rules of an Opener, under the name of the
// variable that says where it is. What only one program needs is opened so
// that the others need not link it.
func Open[T any](o *Opener, variable, address string, f func(context.Context) (T, Store, error)) T {
	return open(o, variable, address, func() (T, error) {
		v, s, err := f(o.ctx)
		if err != nil {
			return v, err
		}
		if s.Ready != nil {
			o.watch(s.Name, s.Ready)
		}
		o.close = append(o.close, s.Close)
		return v, nil
	})
}

// watch makes Ready ask a store. Its name is for people.
func (o *Opener) watch(store string, ready func(context.Context) error) {
	o.checks = append(o.checks, &check{store: store, ready: ready})
}

// Telemetry starts what traces and counts. Asked for before all else, it is
// closed after all else, and so has the spans of the end as well.
func (o *Opener) Telemetry(opts telemetry.Options) *telemetry.Telemetry {
	return open(o, "METRICS_PORT, OTEL_EXPORTER_OTLP_ENDPOINT", opts, func() (*telemetry.Telemetry, error) {
		t, err := telemetry.Open(o.ctx, opts)
		if err != nil {
			return nil, err
		}
		o.close = append(o.close, t.Close)
		return t, nil
	})
}

// Ledger opens the ledger of users and jobs: sqlite:PATH or mysql://….
func (o *Opener) Ledger(address string) *ledger.Ledger {
	return open(o, "LEDGER_URL", address, func() (*ledger.Ledger, error) {
		l, err := ledger.Open(o.ctx, address)
		if err != nil {
			return nil, err
		}
		o.watch("ledger", l.Ready)
		o.close = append(o.close, l.Close)
		return l, nil
	})
}

// Blobs opens the store of videos and results: file:FOLDER, or mongodb://… and
// mongodb+srv://… for GridFS.
func (o *Opener) Blobs(address string) blob.Store {
	return open(o, "BLOBS_URL", address, func() (blob.Store, error) {
		switch scheme, rest, _ := strings.Cut(address, ":"); scheme {
		case "file":
			s, err := files.Open(rest)
			if err != nil {
				return nil, err
			}
			o.watch("blobs", s.Ready)
			return s, nil
		case "mongodb", "mongodb+srv":
			s, err := gridfs.Open(address, gridfs.Options{})
			if err != nil {
				return nil, err
			}
			o.watch("blobs", s.Ready)
			o.close = append(o.close, s.Close)
			return s, nil
		default:
			return nil, unknown("file:FOLDER, mongodb://… or mongodb+srv://…")
		}
	})
}

// Events makes the sender of events to a sink, the ingress of a broker. There
// must be one: an event that goes nowhere is a job that is never done.
func (o *Opener) Events(sink string) *event.Sender {
	return open(o, "K_SINK", sink, func() (*event.Sender, error) {
		if sink == "" {
			return nil, fail.New(fail.Invalid, "want the URL of the broker that events go to, found nothing")
		}
		return event.NewSender(sink), nil
	})
}

// Mail opens the way mails go: maildir:FOLDER, smtp://… or smtps://….
func (o *Opener) Mail(address, from string) mail.Sender {
	return open(o, "MAIL_URL", [...]string{address, from}, func() (mail.Sender, error) {
		switch scheme, rest, _ := strings.Cut(address, ":"); scheme {
		case "maildir":
			return maildir.New(rest, from)
		case "smtp", "smtps":
			s, err := smtp.New(address, smtp.Options{From: from})
			if err != nil {
				return nil, err
			}
			o.close = append(o.close, s.Close)
			return s, nil
		default:
			return nil, unknown("maildir:FOLDER, smtp://… or smtps://…")
		}
	})
}

// Media finds the media tools, and starts them once; an empty name is looked
// up in PATH. Where the kernel cannot confine them whole, that is an error if
// sandbox is "require", and otherwise one line in the log.
func (o *Opener) Media(ffmpeg, ffprobe, sandbox string) media.Tools {
	found := open(o, "ffmpeg", [...]string{ffmpeg, ffprobe}, func() (media.Tools, error) { return media.Find(ffmpeg, ffprobe) })
	return open(o, "MEDIA_SANDBOX", [...]string{ffmpeg, ffprobe, sandbox}, func() (media.Tools, error) {
		has, err := found.Check(o.ctx, sandbox == "require")
		if err == nil && !has.Whole() {
			slog.Warn("ffmpeg is not confined whole; MEDIA_SANDBOX=require would refuse to start", "sandbox", has.String())
		}
		return found, err
	})
}

// Issuer makes the issuer of tokens with the private key in the file, which is
// made if it is missing. Only login has one.
func (o *Opener) Issuer(keyFile string, opts token.Options) *token.Issuer {
	return open(o, "TOKEN_SIGNING_KEY", [...]any{keyFile, opts.Issuer, opts.Audience, opts.TTL}, func() (*token.Issuer, error) {
		key, err := token.LoadOrCreateKey(keyFile)
		if err != nil {
			return nil, err
		}
		return token.NewIssuer(key, opts)
	})
}

// Verifier makes the verifier of tokens. Its keys are the key set in the file
// publicKeys, the key set that publicKeys is (JSON begins with a brace), or the
// public half of the private key where that is empty, as on one machine.
func (o *Opener) Verifier(publicKeys, keyFile, issuer, audience string) *token.Verifier {
	return open(o, "TOKEN_PUBLIC_KEYS", publicKeys+" "+keyFile, func() (*token.Verifier, error) {
		keys, err := keySet(publicKeys, keyFile)
		if err != nil {
			return nil, err
		}
		return token.NewVerifier(keys, issuer, audience, nil), nil
	})
}

func keySet(publicKeys, keyFile string) (token.KeySet, error) {
	if publicKeys != "" {
		return KeySet(publicKeys)
	}
	key, err := token.LoadOrCreateKey(keyFile)
	if err != nil {
		return token.KeySet{}, err
	}
	return token.NewKeySet(key.Public().(ed25519.PublicKey)), nil
}

// KeySet reads the key set that publicKeys is, if it begins with a brace, or
// that of the file of this name.
func KeySet(publicKeys string) (token.KeySet, error) {
	data := []byte(publicKeys)
	if !strings.HasPrefix(publicKeys, "{") {
		var err error
		if data, err = os.ReadFile(publicKeys); err != nil {
			return token.KeySet{}, fail.Wrap(fail.Unavailable, err, "read key set")
		}
	}
	return token.ParseKeySet(data)
}

// Links makes the signer of download links with the secret in the file, which
// is made if it is missing.
func (o *Opener) Links(keyFile string) *token.Links {
	return open(o, "LINK_KEY", keyFile, func() (*token.Links, error) {
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
	return open(o, name, address, func() (*url.URL, error) {
		if address == "" {
			return nil, fail.New(fail.Invalid, "want the address of the function, found nothing")
		}
		u, err := url.Parse(address)
		return u, fail.Wrap(fail.Invalid, err, "read address")
	})
}

func unknown(want string) error { return fail.New(fail.Invalid, "unknown address, want %s", want) }
