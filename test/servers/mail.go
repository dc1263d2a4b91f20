package servers

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// Mailbox is an SMTP server in this process that takes every mail and keeps
// it. It may be closed and opened again at the same address.
type Mailbox struct {
	address string
	secure  *tls.Config // nil: it speaks no TLS
	server  *smtp.Server
	served  chan struct{}

	mu    sync.Mutex
	mails []string
}

// NewMailbox starts a mailbox that ends with the test.
func NewMailbox(t testing.TB) *Mailbox {
	t.Helper()
	b, err := OpenMailbox()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// NewSecureMailbox is NewMailbox with TLS from the first byte, by a certificate
// that its clients have to trust.
func NewSecureMailbox(t testing.TB, c Certificate) *Mailbox {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.File, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := openMailbox(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// OpenMailbox starts a mailbox; the caller closes it.
func OpenMailbox() (*Mailbox, error) { return openMailbox(nil) }

func openMailbox(secure *tls.Config) (*Mailbox, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	b := &Mailbox{address: local(port), secure: secure}
	return b, b.Open()
}

// Open begins to take mail.
func (b *Mailbox) Open() error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", b.address)
	if err != nil {
		return err
	}
	if b.secure != nil {
		l = tls.NewListener(l, b.secure)
	}
	b.served = make(chan struct{})
	b.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return session{b}, nil }))
	b.server.Domain, b.server.ReadTimeout, b.server.WriteTimeout = "localhost", time.Minute, time.Minute
	go func() {
		defer close(b.served)
		_ = b.server.Serve(l)
	}()
	return nil
}

// Close ends it; what it has stays.
func (b *Mailbox) Close() {
	_ = b.server.Close()
	<-b.served
}

// URL is where it is, as MAIL_URL takes it.
func (b *Mailbox) URL() string {
	if b.secure != nil {
		return "smtps://" + b.address
	}
	return "smtp://" + b.address
}

// Mails returns the mails that have come, each as it was sent.
func (b *Mailbox) Mails() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.mails...)
}

type session struct{ b *Mailbox }

func (s session) Mail(string, *smtp.MailOptions) error { return nil }
func (s session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s session) Reset()                               {}
func (s session) Logout() error                        { return nil }

func (s session) Data(r io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return errors.Join(smtp.ErrDataReset, err)
	}
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.mails = append(s.b.mails, string(raw))
	return nil
}
