package smtp

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	server "github.com/emersion/go-smtp"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/mailtest"
)

// send sends one mail, which must arrive.
func send(t *testing.T, s *Sender, r *receiver, n int) {
	t.Helper()
	before := len(r.inbox())
	if err := s.Send(t.Context(), mailtest.Message(n)); err != nil {
		t.Errorf("mail %d: %v", n, err)
	}
	if got := len(r.inbox()) - before; got != 1 {
		t.Errorf("mail %d arrived %d times", n, got)
	}
}

func TestFiftyMailsOverFewConnections(t *testing.T) {
	r := (&receiver{auth: true}).listen(t, false, true)
	s := sender(t, r, "smtp")
	for n := range 50 {
		send(t, s, r, n)
	}
	if n := r.connections(); n != 1 {
		t.Errorf("one after another: %d connections, want 1", n)
	}
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			if err := s.Send(t.Context(), mailtest.Message(100+n)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := r.connections(); n > 4 {
		t.Errorf("all at once: %d connections, want at most 4", n)
	}
	ids := map[string]bool{}
	for _, raw := range r.inbox() {
		ids[mailtest.Parse(t, raw).Header.Get("Message-ID")] = true
	}
	if len(ids) != 100 || len(r.inbox()) != 100 {
		t.Errorf("%d mails, %d of them different, want 100", len(r.inbox()), len(ids))
	}
}

func TestADeadConnectionIsReplaced(t *testing.T) {
	for name, tt := range map[string]struct {
		r     *receiver
		after func(t *testing.T, r *receiver) // between two mails
		want  int                             // connections for three mails
	}{
		"alive":                             {&receiver{}, nil, 1},
		"hung up":                           {&receiver{}, func(_ *testing.T, r *receiver) { r.hangUp() }, 3},
		"hung up after each mail":           {&receiver{dropNext: true}, nil, 3},
		"a limit of mails over one":         {&receiver{most: 1}, nil, 3},
		"a limit of two mails over one":     {&receiver{most: 2}, nil, 2},
		"the server has been started again": {&receiver{}, func(t *testing.T, r *receiver) { r.stop(); r.listen(t, false, false) }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := tt.r.listen(t, false, false)
			s := sender(t, r, "smtp")
			for n := range 3 {
				if n > 0 && tt.after != nil {
					tt.after(t, r)
				}
				send(t, s, r, n)
			}
			if n := r.connections(); n != tt.want {
				t.Errorf("%d connections, want %d", n, tt.want)
			}
		})
	}
}

func TestAKeptConnectionThatIsSilentIsReplaced(t *testing.T) {
	r := (&receiver{silent: "RSET", hang: make(chan struct{})}).listen(t, false, false)
	defer close(r.hang)
	s := sender(t, r, "smtp")
	s.o.Timeout = 300 * time.Millisecond
	send(t, s, r, 1)
	send(t, s, r, 2)
	if n := r.connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestOnlyAKeptConnectionIsReplaced(t *testing.T) {
	for name, r := range map[string]*receiver{
		"the server wants no mails":    {at: map[string]*server.SMTPError{"MAIL": {Code: 421, Message: "later"}}},
		"the server takes half a mail": {dropData: true},
	} {
		t.Run(name, func(t *testing.T) {
			r.listen(t, false, false)
			if err := sender(t, r, "smtp").Send(t.Context(), mailtest.Message(1)); !fail.Is(err, fail.Unavailable) {
				t.Errorf("%v, want unavailable", err)
			}
			if n := r.connections(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

func TestAMailWithoutAnAnswerIsNotSentAgain(t *testing.T) {
	r := (&receiver{}).listen(t, false, false)
	s := sender(t, r, "smtp")
	send(t, s, r, 1)
	r.dropData = true
	if err := s.Send(t.Context(), mailtest.Message(2)); !fail.Is(err, fail.Unavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	if n, mails := r.connections(), len(r.recipients); n != 1 || mails != 2 {
		t.Errorf("%d connections for %d mails, want 1 for 2", n, mails)
	}
}

func TestARefusedMailLeavesTheConnection(t *testing.T) {
	r := (&receiver{at: map[string]*server.SMTPError{}}).listen(t, false, false)
	s := sender(t, r, "smtp")
	for _, step := range []string{"MAIL", "RCPT", "DATA"} {
		for code, want := range map[int]fail.Kind{550: fail.Invalid, 450: fail.Unavailable} {
			r.at[step] = &server.SMTPError{Code: code, EnhancedCode: server.EnhancedCode{code / 100, 1, 1}, Message: "not for anna@example.com"}
			err := s.Send(t.Context(), mailtest.Message(1))
			if !fail.Is(err, want) || !noAddress(err) || !strings.Contains(err.Error(), ".1.1") {
				t.Errorf("%s %d: %v", step, code, err)
			}
		}
		delete(r.at, step)
		send(t, s, r, 2)
	}
	if n := r.connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestKeptConnectionsEnd(t *testing.T) {
	ended := func(t *testing.T, r *receiver) {
		t.Helper()
		deadline := time.After(5 * time.Second)
		for {
			r.mu.Lock()
			left := r.left
			r.mu.Unlock()
			if left == 1 {
				return
			}
			select {
			case <-deadline:
				t.Fatalf("%d sessions have ended, want 1", left)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	t.Run("after a while", func(t *testing.T) {
		r := (&receiver{}).listen(t, false, false)
		s := sender(t, r, "smtp")
		s.pool.after = 50 * time.Millisecond
		send(t, s, r, 1)
		ended(t, r)
		if s.pool.take() != nil {
			t.Error("it is still kept")
		}
	})
	t.Run("when the sender is closed", func(t *testing.T) {
		r := (&receiver{}).listen(t, false, false)
		s := sender(t, r, "smtp")
		send(t, s, r, 1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		ended(t, r)
	})
	t.Run("when a closed sender has sent", func(t *testing.T) {
		r := (&receiver{}).listen(t, false, false)
		s := sender(t, r, "smtp")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		send(t, s, r, 1)
		ended(t, r)
	})
}

func TestTurns(t *testing.T) {
	r := (&receiver{}).listen(t, false, false)
	s := sender(t, r, "smtp")
	for range cap(s.turns) {
		s.turns <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Send(ctx, mailtest.Message(1)); !fail.Is(err, fail.Unavailable) || ctx.Err() == nil {
		t.Errorf("with a context that ends: %v", err)
	}
	s.o.Timeout = 50 * time.Millisecond
	if err := s.Send(t.Context(), mailtest.Message(1)); !fail.Is(err, fail.Unavailable) || r.connections() != 0 {
		t.Errorf("with a timeout: %v over %d connections", err, r.connections())
	}
	<-s.turns
	send(t, s, r, 2)
}
