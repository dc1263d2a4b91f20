// Package smtp sends mail through an SMTP server (RFC 5321, RFC 6409).
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
)

// Options sets up a Sender; zero fields get defaults.
type Options struct {
	From    string        // the sender of every mail; required
	TLS     *tls.Config   // default: TLS 1.2 or later, the certificates that this system trusts
	Timeout time.Duration // for connecting, and again for sending; default 30 seconds
}

// Sender sends each mail over a connection of its own. It implements
// mail.Sender.
type Sender struct {
	host     string
	port     int
	implicit bool // TLS from the first byte
	user     string
	password string
	o        Options
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
func (s *Sender) Send(ctx context.Context, m mail.Message) error {
	msg, err := mail.Compose(s.o.From, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*s.o.Timeout)
	defer cancel()
	var line connection
	defer line.close()
	client, err := s.client(&line)
	if err != nil {
		return fail.Wrap(fail.Internal, err, "set up the mail client")
	}
	err = client.DialWithContext(ctx)
	if err == nil {
		// The library heeds the context only until it is connected.
		stop := context.AfterFunc(ctx, line.close)
		defer stop()
		err = client.Send(msg)
	}
	if msg.IsDelivered() {
		// Whatever failed afterwards, the server has it.
		_ = client.Close()
		return nil
	}
	return refused(ctx, err, m.ID)
}

// connection is the one connection of a Send, kept to close it whatever
// happens: the library leaves it open where the dialogue breaks off early.
type connection struct{ conn net.Conn }

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

func (s *Sender) client(line *connection) (*gomail.Client, error) {
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(s.o.Timeout), gomail.WithTLSConfig(s.o.TLS), gomail.WithoutNoop(),
		gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			var dialer interface {
				DialContext(context.Context, string, string) (net.Conn, error)
			} = &net.Dialer{}
			if s.implicit {
				dialer = &tls.Dialer{Config: s.o.TLS}
			}
			line.conn, err = dialer.DialContext(ctx, network, address)
			return line.conn, err
		}),
	}
	policy := gomail.TLSOpportunistic
	if s.user != "" {
		policy = gomail.TLSMandatory
		options = append(options, gomail.WithUsername(s.user), gomail.WithPassword(s.password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	if s.implicit {
		policy = gomail.NoTLS // it is inside of TLS already
	}
	return gomail.NewClient(s.host, append(options, gomail.WithTLSPolicy(policy))...)
}

// refused gives a failed Send its kind. The text of a SendError names the
// recipient, and that of a server often does: only the codes are kept.
func refused(ctx context.Context, err error, id string) error {
	if cause := ctx.Err(); cause != nil {
		return fail.Wrap(fail.Unavailable, cause, "send mail %s", id)
	}
	var send *gomail.SendError
	if errors.As(err, &send) {
		code := send.ErrorCode()
		kind := fail.Unavailable
		if code/100 == 5 && !ours(code) {
			kind = fail.Invalid
		}
		return fail.Wrap(kind, fmt.Errorf("%v: code %d %s", send.Reason, code, send.EnhancedStatusCode()), "send mail %s", id)
	}
	var answer *textproto.Error
	if errors.As(err, &answer) {
		err = fmt.Errorf("the server answers %d", answer.Code)
	}
	return fail.Wrap(fail.Unavailable, err, "connect to the mail server for mail %s", id)
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
