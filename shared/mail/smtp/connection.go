package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	gomail "github.com/wneessen/go-mail"
	protocol "github.com/wneessen/go-mail/smtp"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
)

// letter is a composed mail and what stands on its envelope.
type letter struct {
	from, to string // in angle brackets
	content  io.WriterTo
}

func (s *Sender) letter(m mail.Message) (letter, error) {
	msg, err := mail.Compose(s.o.From, m)
	if err != nil {
		return letter{}, err
	}
	from, noSender := msg.GetSender(false)
	to, noRecipient := msg.GetRecipients()
	if noSender != nil || noRecipient != nil || len(to) != 1 {
		return letter{}, fail.New(fail.Internal, "mail %s has no envelope", m.ID)
	}
	return letter{from: from, to: to[0], content: msg}, nil
}

// connection is a dialogue with the server, encrypted and logged in as far as
// that is wanted.
type connection struct {
	conn   net.Conn
	client *protocol.Client
	used   bool        // for a mail before
	broken bool        // by a context that ended
	expire *time.Timer // while it is kept
}

// connect begins a dialogue, within Options.Timeout.
func (s *Sender) connect(ctx context.Context) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	c := &connection{}
	// The library heeds the context only until it is connected, and leaves a
	// connection open where the dialogue breaks off.
	stop := func() bool { return true }
	client, err := s.client(func(dialing context.Context, network, address string) (net.Conn, error) {
		conn, err := s.dial(dialing, network, address)
		if err == nil {
			c.conn = conn
			stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	})
	if err != nil {
		return nil, err
	}
	c.client, err = client.DialToSMTPClientWithContext(ctx)
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		c.close()
		return nil, errors.Join(ctx.Err(), err)
	}
	return c, nil
}

func (s *Sender) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if s.implicit {
		return (&tls.Dialer{Config: s.o.TLS}).DialContext(ctx, network, address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// client sets the library up for one connection.
func (s *Sender) client(dial gomail.DialContextFunc) (*gomail.Client, error) {
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(s.o.Timeout), gomail.WithTLSConfig(s.o.TLS), gomail.WithDialContextFunc(dial),
	}
	policy := gomail.TLSOpportunistic
	if s.user != "" {
		policy = gomail.TLSMandatory
		options = append(options, gomail.WithUsername(s.user), gomail.WithPassword(s.password), gomail.WithOpportunisticSMTPAuth(
			gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin, gomail.SMTPAuthCramMD5))
	}
	if s.implicit {
		policy = gomail.NoTLS // it is inside of TLS already
	}
	return gomail.NewClient(s.host, append(options, gomail.WithTLSPolicy(policy))...)
}

// failure is a delivery that ended before the server confirmed the mail.
type failure struct {
	step string // the command that failed, or content
	err  error
}

// content is the step in which the mail itself is sent.
const content = "content"

func (f *failure) Error() string { return f.step + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// stale reports whether the delivery over a kept connection failed because
// that was of no use any more: it did not show that it is alive, or the server
// hung up before it began to take the mail. One that is merely slow is not.
func stale(err error) bool {
	f := (*failure)(nil)
	if !errors.As(err, &f) || f.step == content {
		return false
	}
	code := answered(err)
	return f.step == "RSET" || code == closing || code == 0 && !errors.Is(err, os.ErrDeadlineExceeded)
}

// deliver hands over one mail within the timeout; an error is a *failure.
func (c *connection) deliver(ctx context.Context, l letter, timeout time.Duration) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	step, err := c.talk(l, timeout)
	if !stop() {
		c.broken = true
	}
	if err == nil {
		return nil // even if the context has ended since
	}
	return &failure{step: step, err: errors.Join(ctx.Err(), err)}
}

// check is how long a kept connection may take to show that it is alive.
const check = 5 * time.Second

// talk is the dialogue for one mail. It returns the step in which it ended.
func (c *connection) talk(l letter, timeout time.Duration) (string, error) {
	if c.used {
		_ = c.client.UpdateDeadline(min(check, timeout)) // if it fails, so does the next step
		if err := c.client.Reset(); err != nil {
			return "RSET", err
		}
	}
	c.used = true
	_ = c.client.UpdateDeadline(timeout)
	if err := c.client.Mail(l.from); err != nil {
		return "MAIL", err
	}
	if err := c.client.Rcpt(l.to); err != nil {
		return "RCPT", err
	}
	w, err := c.client.Data()
	if err != nil {
		return "DATA", err
	}
	if _, err := l.content.WriteTo(w); err != nil {
		return content, err // without an end, the server drops it
	}
	return content, w.Close()
}

// farewell is how long the server may take to hear that we leave.
const farewell = time.Second

// quit takes leave of the server.
func (c *connection) quit() {
	_ = c.client.UpdateDeadline(farewell)
	_ = c.client.Quit()
	c.close()
}

// close hangs up.
func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}
