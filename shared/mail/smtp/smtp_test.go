package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	server "github.com/emersion/go-smtp"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/mailtest"
)

// sender makes a Sender that logs in where the receiver wants it.
func sender(t *testing.T, r *receiver, scheme string) *Sender {
	t.Helper()
	u := url.URL{Scheme: scheme, Host: r.url}
	if r.auth {
		u.User = url.UserPassword(user, password)
	}
	s, err := New(u.String(), Options{
		From: mailtest.From, Timeout: 5 * time.Second, TLS: &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	for name, tt := range map[string]struct {
		scheme                   string
		auth, implicit, starttls bool
	}{
		"plain":              {scheme: "smtp"},
		"STARTTLS":           {scheme: "smtp", starttls: true},
		"STARTTLS and login": {scheme: "smtp", starttls: true, auth: true},
		"TLS":                {scheme: "smtps", implicit: true},
		"TLS and login":      {scheme: "smtps", implicit: true, auth: true},
	} {
		t.Run(name, func(t *testing.T) {
			mailtest.Run(t, func(t *testing.T) (mail.Sender, mailtest.Inbox) {
				r := (&receiver{auth: tt.auth}).listen(t, tt.implicit, tt.starttls)
				t.Cleanup(func() {
					r.mu.Lock()
					defer r.mu.Unlock()
					if len(r.mails) > 0 && (r.encrypted != (tt.implicit || tt.starttls) || r.loggedIn > 0 != tt.auth) {
						t.Errorf("encrypted: %v, logins: %d", r.encrypted, r.loggedIn)
					}
				})
				return sender(t, r, tt.scheme), r.inbox
			})
		})
	}
}

func TestWhatTheServerRefuses(t *testing.T) {
	answer := func(code int) *server.SMTPError {
		return &server.SMTPError{Code: code, EnhancedCode: server.EnhancedCode{code / 100, 1, 1}, Message: "no mail for anna@example.com"}
	}
	for name, tt := range map[string]struct {
		step string
		code int
		want fail.Kind
	}{
		"no such mailbox":           {"RCPT", 550, fail.Invalid},
		"mailbox busy":              {"RCPT", 450, fail.Unavailable},
		"greylisted":                {"RCPT", 451, fail.Unavailable},
		"too many mails":            {"MAIL", 452, fail.Unavailable},
		"sender refused":            {"MAIL", 550, fail.Invalid},
		"login wanted":              {"MAIL", 530, fail.Unavailable},
		"content refused":           {"DATA", 554, fail.Invalid},
		"disk of the server full":   {"DATA", 452, fail.Unavailable},
		"server is shutting down":   {"EHLO", 421, fail.Unavailable},
		"server does not want us":   {"EHLO", 554, fail.Unavailable},
		"server forbids all logins": {"MAIL", 535, fail.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r := (&receiver{at: map[string]*server.SMTPError{tt.step: answer(tt.code)}}).listen(t, false, true)
			err := sender(t, r, "smtp").Send(t.Context(), mailtest.Message(1))
			if !fail.Is(err, tt.want) || !noAddress(err) {
				t.Errorf("%v, want %v and no address", err, tt.want)
			}
			if len(r.inbox()) != 0 {
				t.Error("the mail arrived")
			}
		})
	}
}

func TestNoPasswordWithoutEncryption(t *testing.T) {
	r := (&receiver{auth: true}).listen(t, false, false)
	err := sender(t, r, "smtp").Send(t.Context(), mailtest.Message(1))
	if !fail.Is(err, fail.Unavailable) || r.loggedIn != 0 || len(r.inbox()) != 0 {
		t.Errorf("%v after %d logins, want unavailable after none", err, r.loggedIn)
	}
}

func TestAnUnknownCertificateIsRefused(t *testing.T) {
	for _, scheme := range []string{"smtp", "smtps"} {
		r := (&receiver{auth: true}).listen(t, scheme == "smtps", scheme == "smtp")
		_, r.roots = certificate(t) // of somebody else
		err := sender(t, r, scheme).Send(t.Context(), mailtest.Message(1))
		if !fail.Is(err, fail.Unavailable) || r.loggedIn != 0 || len(r.inbox()) != 0 {
			t.Errorf("%s: %v after %d logins", scheme, err, r.loggedIn)
		}
	}
}

func TestAWrongPasswordIsAPassingFault(t *testing.T) {
	r := (&receiver{auth: true}).listen(t, false, true)
	s := sender(t, r, "smtp")
	s.password = "wrong"
	err := s.Send(t.Context(), mailtest.Message(1))
	if !fail.Is(err, fail.Unavailable) || strings.Contains(err.Error(), "wrong") && strings.Contains(err.Error(), user) {
		t.Errorf("%v, want unavailable", err)
	}
}

func TestAServerThatIsGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := sender(t, &receiver{url: l.Addr().String()}, "smtp").Send(t.Context(), mailtest.Message(1)); !fail.Is(err, fail.Unavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	r := (&receiver{dropData: true}).listen(t, false, true)
	if err := sender(t, r, "smtp").Send(t.Context(), mailtest.Message(1)); !fail.Is(err, fail.Unavailable) {
		t.Errorf("in the middle of a mail: %v, want unavailable", err)
	}
}

func TestAMailThatTheServerHasIsSentWhateverFollows(t *testing.T) {
	r := (&receiver{dropNext: true}).listen(t, false, true)
	if err := sender(t, r, "smtp").Send(t.Context(), mailtest.Message(1)); err != nil || len(r.inbox()) != 1 {
		t.Errorf("%v, and %d mails arrived", err, len(r.inbox()))
	}
}

func TestASilentServer(t *testing.T) {
	for step, encrypted := range map[string]bool{
		"greeting": false, "EHLO": false, "TLS": true, "AUTH": true, "MAIL": false, "RCPT": false, "content": false,
	} {
		for name, tt := range map[string]struct {
			timeout, context time.Duration
		}{
			"a context that ends": {time.Hour, 200 * time.Millisecond},
			"a timeout":           {200 * time.Millisecond, time.Hour},
		} {
			t.Run(step+" and "+name, func(t *testing.T) {
				r := &receiver{silent: step, hang: make(chan struct{}), auth: step == "AUTH"}
				if step == "greeting" {
					r.url = mute(t)
				} else {
					r.listen(t, false, encrypted)
				}
				defer close(r.hang) // before the server is closed
				s := sender(t, r, "smtp")
				s.o.Timeout = tt.timeout
				ctx, cancel := context.WithTimeout(t.Context(), tt.context)
				defer cancel()
				began := time.Now()
				err := s.Send(ctx, mailtest.Message(1))
				if !fail.Is(err, fail.Unavailable) || time.Since(began) > 3*time.Second || !noAddress(err) {
					t.Errorf("%v after %v, want unavailable in time", err, time.Since(began))
				}
				if ctx.Err() != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v, want the reason of the context", err)
				}
			})
		}
	}
}

// mute returns the address of a server that takes connections and says
// nothing.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // the system takes the connections
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestLogins(t *testing.T) {
	for name, offered := range map[string][]string{
		"PLAIN": {"PLAIN"}, "LOGIN": {"LOGIN"}, "CRAM-MD5": {"CRAM-MD5"}, "SCRAM-SHA-256": {"SCRAM-SHA-256"},
		"one of several": {"CRAM-MD5", "LOGIN", "PLAIN", "SCRAM-SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			r := (&receiver{auth: true, logins: offered}).listen(t, false, true)
			s := sender(t, r, "smtp")
			if err := s.Send(t.Context(), mailtest.Message(1)); err != nil || r.loggedIn != 1 || len(r.inbox()) != 1 {
				t.Errorf("%v after %d logins", err, r.loggedIn)
			}
			wrong := sender(t, r, "smtp")
			wrong.password = "wrong"
			if err := wrong.Send(t.Context(), mailtest.Message(2)); !fail.Is(err, fail.Unavailable) || r.loggedIn != 1 {
				t.Errorf("with a wrong password: %v after %d logins", err, r.loggedIn)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]int{
		"smtp://mail.example.org": 25, "smtp://u:p@mail.example.org": 587, "smtps://mail.example.org": 465,
		"smtp://mail.example.org:2525": 2525, "smtp://[::1]:26/": 26,
	} {
		s, err := New(address, Options{From: mailtest.From})
		if err != nil || s.port != want {
			t.Errorf("New(%s): port %+v, %v; want %d", address, s, err, want)
		}
	}
	for _, address := range []string{
		"", "mail.example.org", "http://mail.example.org", "smtp://", "smtp://u:hunter2@", "smtp://u:hunter2@h:99999",
		"smtp://u:hunter2@h:x", "smtp://h/path", "smtp://h?x=y", "smtp://u:hunter2%zz@h",
	} {
		if _, err := New(address, Options{From: mailtest.From}); !fail.Is(err, fail.Invalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("New(%q): %v, want invalid", address, err)
		}
	}
	if _, err := New("smtp://h", Options{}); !fail.Is(err, fail.Invalid) {
		t.Errorf("without a sender: %v, want invalid", err)
	}
}
