package smtp

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	server "github.com/emersion/go-smtp"

	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

const (
	user     = "mailer@example.org"
	password = "a:b/c@d p%w"
)

// receiver is a real SMTP server that keeps what it is sent.
type receiver struct {
	url   string // host:port
	roots *x509.CertPool

	auth     bool                         // wants a login
	logins   []string                     // mechanisms it offers; nil is PLAIN
	at       map[string]*server.SMTPError // what it answers in a step
	most     int                          // mails over one connection; 0 is any number
	dropData bool                         // hangs up in the middle of a mail
	dropNext bool                         // hangs up once it has a mail
	silent   string                       // the step in which it says nothing more
	hang     chan struct{}                // until this is closed

	mu         sync.Mutex
	mails      [][]byte
	recipients []string
	encrypted  bool // the last mail came by TLS
	loggedIn   int
	left       int // sessions that have ended
	conns      []net.Conn
	stop       func()
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
	address := r.url // again where it was
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r.url = l.Addr().String()
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		r.pause("TLS")
		return nil, nil
	}
	if starttls {
		s.TLSConfig = config
	}
	counted := net.Listener(&door{Listener: l, r: r})
	if implicit {
		counted = tls.NewListener(counted, config)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(counted) })
	r.stop = sync.OnceFunc(func() {
		_ = l.Close() // the server may not know of it yet
		_ = s.Close()
		wg.Wait()
	})
	t.Cleanup(r.stop)
	return r
}

// door remembers who came in.
type door struct {
	net.Listener
	r *receiver
}

func (d *door) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	if err == nil {
		d.r.mu.Lock()
		defer d.r.mu.Unlock()
		d.r.conns = append(d.r.conns, conn)
	}
	return conn, err
}

// connections returns how many there have been so far.
func (r *receiver) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// hangUp ends all connections without a word.
func (r *receiver) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
}

// pause says nothing in the step in which the server is to be silent.
func (r *receiver) pause(step string) {
	if step == r.silent {
		<-r.hang
	}
}

func (r *receiver) inbox() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.mails...)
}

func (r *receiver) NewSession(c *server.Conn) (server.Session, error) {
	r.pause("EHLO")
	if err := r.fault("EHLO"); err != nil {
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
	mails    int
}

func (s *session) AuthMechanisms() []string {
	switch {
	case !s.r.auth:
		return nil
	case s.r.logins == nil:
		return []string{sasl.Plain}
	}
	return s.r.logins
}

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	s.r.pause("AUTH")
	return &login{Server: mechanisms[mechanism](), s: s}, nil
}

// login notes a login that came to its end.
type login struct {
	sasl.Server
	s *session
}

func (l *login) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := l.Server.Next(response)
	if done && err == nil {
		l.s.loggedIn = true
		l.s.r.mu.Lock()
		defer l.s.r.mu.Unlock()
		l.s.r.loggedIn++
	}
	return challenge, done, err
}

func (s *session) Mail(string, *server.MailOptions) error {
	s.r.pause("MAIL")
	if s.r.auth && !s.loggedIn {
		return server.ErrAuthRequired
	}
	if s.r.most > 0 && s.mails == s.r.most {
		return &server.SMTPError{Code: 421, EnhancedCode: server.EnhancedCode{4, 7, 0}, Message: "too many mails over this connection"}
	}
	return s.r.fault("MAIL")
}

func (s *session) Rcpt(to string, _ *server.RcptOptions) error {
	s.r.pause("RCPT")
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.recipients = append(s.r.recipients, to)
	return s.r.fault("RCPT")
}

func (s *session) Data(body io.Reader) error {
	s.r.pause("content")
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
	s.mails++
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.mails, s.r.encrypted = append(s.r.mails, bytes.Clone(raw)), encrypted
	return nil
}

// Reset is what the server does after a mail, before it hears a next command.
func (s *session) Reset() {
	if len(s.r.inbox()) == 0 {
		return
	}
	s.r.pause("RSET")
	if s.r.dropNext {
		_ = s.conn.Conn().Close() // not the server's Close, which waits for this
	}
}

func (s *session) Logout() error {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.left++
	return nil
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// certificate makes one for 127.0.0.1, and a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	files, err := servers.NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.File, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	return pair, roots
}

// noAddress reports whether the error keeps the recipient to itself.
func noAddress(err error) bool { return err == nil || !strings.Contains(err.Error(), "anna@") }
