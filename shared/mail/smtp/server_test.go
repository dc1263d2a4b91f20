package smtp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	server "github.com/emersion/go-smtp"
)

const (
	user     = "mailer@example.org"
	password = "a:b/c@d p%w"
)

// receiver is a real SMTP server that keeps what it is sent.
type receiver struct {
	url   string // host:port
	roots *x509.CertPool

	auth     bool // wants a login
	at       map[string]*server.SMTPError
	dropData bool // hangs up in the middle of a mail
	dropNext bool // hangs up once it has a mail
	hang     chan struct{}

	mu         sync.Mutex
	mails      [][]byte
	recipients []string
	encrypted  bool // the last mail came by TLS
	logins     int
}

// listen starts the server; implicit is TLS from the first byte, starttls
// offers it later.
func (r *receiver) listen(t *testing.T, implicit, starttls bool) *receiver {
	t.Helper()
	cert, roots := certificate(t)
	r.roots = roots
	s := server.NewServer(r)
	s.Domain, s.AllowInsecureAuth, s.ErrorLog = "localhost", !starttls && !implicit, quiet{}
	s.ReadTimeout, s.WriteTimeout = 10*time.Second, 10*time.Second
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = l.Addr().String()
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if starttls {
		s.TLSConfig = config
	}
	if implicit {
		l = tls.NewListener(l, config)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = l.Close() // the server may not know of it yet
		_ = s.Close()
		wg.Wait()
	})
	return r
}

func (r *receiver) inbox() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.mails...)
}

func (r *receiver) NewSession(c *server.Conn) (server.Session, error) {
	if err := r.fault("greeting"); err != nil {
		return nil, err
	}
	return &session{r: r, conn: c}, nil
}

func (r *receiver) fault(step string) error {
	if err := r.at[step]; err != nil {
		return err
	}
	return nil
}

type session struct {
	r        *receiver
	conn     *server.Conn
	loggedIn bool
}

func (s *session) AuthMechanisms() []string {
	if s.r.auth {
		return []string{sasl.Plain}
	}
	return nil
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, u, p string) error {
		if u != user || p != password {
			return errors.New("wrong login")
		}
		s.loggedIn = true
		s.r.mu.Lock()
		defer s.r.mu.Unlock()
		s.r.logins++
		return nil
	}), nil
}

func (s *session) Mail(string, *server.MailOptions) error {
	if s.r.auth && !s.loggedIn {
		return server.ErrAuthRequired
	}
	return s.r.fault("MAIL")
}

func (s *session) Rcpt(to string, _ *server.RcptOptions) error {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.recipients = append(s.r.recipients, to)
	return s.r.fault("RCPT")
}

func (s *session) Data(body io.Reader) error {
	if s.r.hang != nil {
		<-s.r.hang
	}
	if s.r.dropData {
		return s.conn.Close()
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := s.r.fault("DATA"); err != nil {
		return err
	}
	_, encrypted := s.conn.TLSConnectionState()
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.mails, s.r.encrypted = append(s.r.mails, bytes.Clone(raw)), encrypted
	return nil
}

func (s *session) Reset() {
	if s.r.dropNext && len(s.r.inbox()) > 0 {
		_ = s.conn.Conn().Close() // not the server's Close, which waits for this
	}
}

func (s *session) Logout() error { return nil }

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// certificate makes one for localhost and 127.0.0.1, and a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// noAddress reports whether the error keeps the recipient to itself.
func noAddress(err error) bool { return err == nil || !strings.Contains(err.Error(), "anna@") }
