package notify

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// TestALedgerThatDiesWhileAMailIsSentMakesNoSecondMail kills the server once
// the mail is out, and starts it again after more than one change waits for it.
func TestALedgerThatDiesWhileAMailIsSentMakesNoSecondMail(t *testing.T) {
	server, stores := servers.StartMySQL(t), fixture.New(t)
	l, err := ledger.Open(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	stores.Ledger = l
	w := startOn(t, stores)
	e := outcome(t, w.done(t, "talk.mp4"))
	back := make(chan error, 1)
	w.deps.Mail = senderFunc(func(ctx context.Context, m mail.Message) error {
		err := w.Send(ctx, m)
		server.Kill()
		go func() {
			<-time.After(5 * time.Second)
			back <- server.Start()
		}()
		return err
	})
	w.deliver(t, e, http.StatusNoContent)
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	w.deps.Mail = w
	w.deliver(t, e, http.StatusNoContent) // closed: it does not even look
	if w.calls.Load() != 1 {
		t.Errorf("%d sendings, want 1", w.calls.Load())
	}
}

func TestALedgerThatStaysAwayIsAskedWhileTheDeliveryLasts(t *testing.T) {
	for name, tt := range map[string]struct{ sending, end time.Duration }{
		"a mail that was sent at once":         {sending: 0, end: settleBy},
		"a mail that took all the time it had": {sending: settleBy, end: settleBy + settleIn},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				came, tries := time.Now(), 0
				<-time.After(tt.sending)
				ctx, cancel := settling(t.Context(), came)
				defer cancel()
				err := again(ctx, cutOff(t.Context()), func() error { tries++; return fail.New(fail.Unavailable, "away") })
				if took := time.Since(came); !fail.Is(err, fail.Unavailable) || took != tt.end {
					t.Errorf("%v after %v, want unavailable after %v", err, took, tt.end)
				}
				if most := int((tt.end-tt.sending)/longestPause) + 6; tries < most/2 || tries > most {
					t.Errorf("%d tries, want %d to %d", tries, most/2, most)
				}
			})
		})
	}
}

// TestAServerThatEndsWaitsForNoLedger ends it while a notice cannot be closed.
func TestAServerThatEndsWaitsForNoLedger(t *testing.T) {
	w := start(t)
	e := outcome(t, w.done(t, "talk.mp4"))
	w.deps.Mail = senderFunc(func(ctx context.Context, m mail.Message) error {
		return errors.Join(w.Send(ctx, m), w.Ledger.Close())
	})
	handled := make(chan struct{})
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	served := make(chan error, 1)
	server := web.Server{Drain: time.Millisecond, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer close(handled)
		New(w.deps).ServeHTTP(rw, r)
	})}
	go func() { served <- server.Serve(ctx, l) }()
	req, err := cehttp.NewHTTPRequestFromEvent(t.Context(), "http://"+l.Addr().String(), e)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	for w.calls.Load() == 0 {
		<-time.After(10 * time.Millisecond)
	}
	end()
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	<-handled
	if err := <-served; err != nil {
		t.Error(err)
	}
}
