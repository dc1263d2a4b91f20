// Package smtp sends mail through an SMTP server (RFC 5321, RFC 6409).
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
)

// Options sets up a Sender; zero fields get defaults.
type Options struct {
	From        string        // the sender of every mail; required
	TLS         *tls.Config   // default: TLS 1.2 or later, the certificates that this system trusts
	Timeout     time.Duration // for connecting, and again for sending; default 30 seconds
	Connections int           // to the server, at most; default 4
	Idle        time.Duration // how long a connection is kept for the next mail; default 30 seconds
}

// Sender sends mails one after another over a few connections, which it keeps
// for a while. It implements mail.Sender. Close it after use.
type Sender struct {
	host     string
	port     int
	implicit bool // TLS from the first byte
	user     string
	password string
	o        Options
	turns    chan struct{} // one for each connection in use
	pool     pool
}

// New makes a Sender for the address of a server:
//
//	smtp://[user:password@]host[:port]    port 587 with a user, else 25
//	smtps://[user:password@]host[:port]   TLS from the first byte; port 465
//
// With smtp, the connection is encrypted (STARTTLS) if the server can; with a
// user it must be, as otherwise the password would be readable. An address
// that is none of this, or no valid Options.From, is fail.Invalid; it is not
// looked up here.
func New(address string, o Options) (*Sender, error) {
	u, err := url.Parse(address)
	// The text of err would show the password.
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, fail.New(fail.Invalid, "The address of the mail server is not smtp://[user:password@]host[:port] or smtps://….")
	}
	if err := mail.CheckFrom(o.From); err != nil {
		return nil, err
	}
	s := &Sender{host: u.Hostname(), implicit: u.Scheme == "smtps", user: u.User.Username(), o: o}
	s.password, _ = u.User.Password()
	if s.port, err = port(u, s); err != nil {
		return nil, err
	}
	if s.o.Timeout <= 0 {
		s.o.Timeout = 30 * time.Second
	}
	if s.o.Connections <= 0 {
		s.o.Connections = 4
	}
	if s.o.Idle <= 0 {
		s.o.Idle = 30 * time.Second
	}
	s.turns, s.pool.after = make(chan struct{}, s.o.Connections), s.o.Idle
	if s.o.TLS == nil {
		s.o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	s.o.TLS = s.o.TLS.Clone()
	if s.o.TLS.ServerName == "" {
		s.o.TLS.ServerName = s.host
	}
	return s, nil
}

func port(u *url.URL, s *Sender) (int, error) {
	switch {
	case u.Port() != "":
		n, err := strconv.Atoi(u.Port())
		if err != nil || n < 1 || n > 65535 {
			return 0, fail.New(fail.Invalid, "The port of the mail server is not a number from 1 to 65535.")
		}
		return n, nil
	case s.implicit:
		return 465, nil
	case s.user != "":
		return 587, nil
	}
	return 25, nil
}

// Send implements mail.Sender. What the server says about itself or about us
// (no connection, no encryption, a login it does not take) is passing, as
// somebody will mend it; what it says about the mail with a 5xx is for good.
//
// A kept connection that turns out to be dead before the server began to take
// the mail is replaced, once. A mail whose end was sent is never sent again
// here: without an answer to that it is fail.Unavailable.
func (s *Sender) Send(ctx context.Context, m mail.Message) error {
	l, err := s.letter(m)
	if err != nil {
		return err
	}
	if err := s.takeTurn(ctx); err != nil {
		return fail.Wrap(fail.Unavailable, err, "send mail %s", m.ID)
	}
	defer func() { <-s.turns }()
	if c := s.pool.take(); c != nil {
		if err := s.deliver(ctx, c, l); !stale(err) {
			return refused(err, m.ID)
		}
	}
	c, err := s.connect(ctx)
	if err != nil {
		return fail.Wrap(fail.Unavailable, wordless(err), "connect to the mail server for mail %s", m.ID)
	}
	return refused(s.deliver(ctx, c, l), m.ID)
}

// Close ends the connections that are kept. A Send after it, or under way,
// leaves none behind.
func (s *Sender) Close() error {
	s.pool.close()
	return nil
}

// takeTurn waits until one more connection may be used.
func (s *Sender) takeTurn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timer := time.NewTimer(s.o.Timeout)
	defer timer.Stop()
	select {
	case s.turns <- struct{}{}:
		return nil
	case <-timer.C:
		return errors.New("no turn: every connection is in use")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deliver hands the mail over, and then keeps the connection if it can still
// be used.
func (s *Sender) deliver(ctx context.Context, c *connection, l letter) error {
	err := c.deliver(ctx, l, s.o.Timeout)
	code := answered(err)
	if alive := err == nil || code != 0 && code != closing && !stale(err); alive && !c.broken {
		s.pool.keep(c)
	} else {
		c.close()
	}
	return err
}

// refused gives a failed delivery its kind.
func refused(err error, id string) error {
	kind := fail.Unavailable
	if code := answered(err); code/100 == 5 && !ours(code) {
		kind = fail.Invalid
	}
	return fail.Wrap(kind, wordless(err), "send mail %s", id)
}

// closing is the answer of a server that is about to hang up (RFC 5321, 3.8),
// whatever the command.
const closing = 421

// answered returns the code of the answer that the error is, 0 if it is none.
func answered(err error) int {
	if answer := (*textproto.Error)(nil); errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}

// ours reports whether a code complains of our login or encryption (RFC 4954,
// 6; RFC 3207, 4), not of the mail.
func ours(code int) bool {
	switch code {
	case 530, 534, 535, 538:
		return true
	}
	return false
}

var enhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// wordless leaves out what the server said in words, which often names the
// recipient: of an answer only the codes are kept.
func wordless(err error) error {
	var (
		answer *textproto.Error
		broken textproto.ProtocolError
		at     string
	)
	if f := (*failure)(nil); errors.As(err, &f) {
		at = f.step + ": "
	}
	switch {
	case errors.As(err, &answer):
		err = fmt.Errorf("%sthe server answers %d %s", at, answer.Code, enhanced.FindString(answer.Msg))
	case errors.As(err, &broken):
		err = fmt.Errorf("%sthe server answers what is no SMTP", at)
	}
	return err
}
