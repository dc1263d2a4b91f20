package notify

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	server "github.com/emersion/go-smtp"

	"github.com/opengundumstyle/audio-alchemist/shared/mail/mailtest"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/smtp"
)

// postOffice is a real SMTP server. It turns the first mail away with a 451.
type postOffice struct {
	mu    sync.Mutex
	tried int
	to    []string
	mails [][]byte
}

func (p *postOffice) NewSession(*server.Conn) (server.Session, error) { return p, nil }

func (p *postOffice) Mail(string, *server.MailOptions) error { return nil }

func (p *postOffice) Rcpt(to string, _ *server.RcptOptions) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tried++; p.tried == 1 {
		return &server.SMTPError{Code: 451, EnhancedCode: server.EnhancedCode{4, 7, 1}, Message: "come back later"}
	}
	p.to = append(p.to, to)
	return nil
}

func (p *postOffice) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mails = append(p.mails, raw)
	return err
}

func (p *postOffice) Reset() {}

func (p *postOffice) Logout() error { return nil }

func TestThroughASMTPServer(t *testing.T) {
	office := &postOffice{}
	srv := server.NewServer(office)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() {
		_ = l.Close() // the server may not know of it yet
		_ = srv.Close()
		wg.Wait()
	})

	w := start(t)
	if w.deps.Mail, err = smtp.New("smtp://"+l.Addr().String(), smtp.Options{From: mailtest.From}); err != nil {
		t.Fatal(err)
	}
	j := w.done(t, "talk.mp4")
	w.deliver(t, outcome(t, j), http.StatusServiceUnavailable)
	w.deliver(t, outcome(t, j), http.StatusNoContent)
	w.deliver(t, outcome(t, j), http.StatusNoContent)

	office.mu.Lock()
	defer office.mu.Unlock()
	if len(office.mails) != 1 || len(office.to) != 1 || office.to[0] != "anna@example.com" {
		t.Fatalf("%d mails to %v", len(office.mails), office.to)
	}
	if m := mailtest.Parse(t, office.mails[0]); m.Subject != "Ready: talk.mp4" || m.Header.Get("Message-ID") != "<"+j.ID+".0.done@alchemist.example>" {
		t.Errorf("subject %q, Message-ID %s", m.Subject, m.Header.Get("Message-ID"))
	}
}
