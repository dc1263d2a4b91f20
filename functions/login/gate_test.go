package login

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
)

// fails lets n guesses fail.
func (w *world) fails(t *testing.T, n int, email, address string) {
	t.Helper()
	for i := range n {
		if r := login(t, w.url, email, "wrong horse", address); r.status != http.StatusUnauthorized {
			t.Fatalf("guess %d: %+v", i+1, r)
		}
	}
}

func TestTenFailuresCloseTheDoor(t *testing.T) {
	w := start(t, nil)
	w.add(t, "ben@example.org", false)
	w.fails(t, 4, email, here)
	w.clock.Advance(5 * time.Minute)
	w.fails(t, 6, "ANNA@example.org", here) // another spelling is the same account

	r := login(t, w.url, email, password, here)
	checkProblem(t, r, http.StatusTooManyRequests)
	if after, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || after != 600 {
		t.Errorf("Retry-After = %q, want 600: 15 minutes from the oldest failure", r.header.Get("Retry-After"))
	}
	if r.header.Get("WWW-Authenticate") != "" {
		t.Errorf("a 429 asks for a password: %v", r.header)
	}
	checkProblem(t, login(t, w.serve(t), email, password, here), http.StatusTooManyRequests) // another instance
	if r := login(t, w.url, email, password, "192.0.2.2"); r.status != http.StatusOK {
		t.Errorf("another address: %+v", r)
	}
	if r := login(t, w.url, "ben@example.org", password, here); r.status != http.StatusOK {
		t.Errorf("another account: %+v", r)
	}
	w.clock.Advance(10*time.Minute - time.Millisecond)
	if r := login(t, w.url, email, password, here); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "1" {
		t.Errorf("a moment before the end: %+v", r)
	}
	w.clock.Advance(time.Millisecond)
	if r := login(t, w.url, email, password, here); r.status != http.StatusOK {
		t.Errorf("after the window: %+v", r)
	}
}

func TestUnknownAccountsAreLimitedAlike(t *testing.T) {
	w := start(t, nil)
	w.fails(t, 10, "nobody@example.org", here)
	checkProblem(t, login(t, w.url, "nobody@example.org", password, here), http.StatusTooManyRequests)
}

func TestSuccessClearsFailures(t *testing.T) {
	w := start(t, nil)
	for range 2 {
		w.fails(t, 9, email, here)
		if r := login(t, w.url, email, password, here); r.status != http.StatusOK {
			t.Fatalf("answer: %+v", r)
		}
	}
}

func TestGuessesAtOnceDoNotGetRoundTheLimit(t *testing.T) {
	w := start(t, nil)
	w.fails(t, 3, email, here)
	var (
		all              sync.WaitGroup
		guessed, refused atomic.Int64
	)
	for i := range 40 {
		all.Go(func() {
			switch r := login(t, w.url, email, fmt.Sprintf("wrong horse %d", i), here); r.status {
			case http.StatusUnauthorized:
				guessed.Add(1)
			case http.StatusTooManyRequests:
				refused.Add(1)
			default:
				t.Errorf("answer: %+v", r)
			}
		})
	}
	all.Wait()
	if guessed.Load() != 7 || refused.Load() != 33 {
		t.Errorf("%d guesses, %d refusals, want 7 and 33", guessed.Load(), refused.Load())
	}
}

func TestHangingUpDoesNotUndoAGuess(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	w := start(t, nil) // puts slog.Default back in the end
	slog.SetDefault(slog.New(trap{slog.Default().Handler(), hangUp}))
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/login", nil)
	req.SetBasicAuth(email, "wrong horse")
	req.Header.Set("X-Forwarded-For", here)
	New(w.Deps).ServeHTTP(httptest.NewRecorder(), req)
	if ctx.Err() == nil {
		t.Fatal("the client did not hang up")
	}
	n, _, err := w.Ledger.LoginFailures(t.Context(), accountKey(email), here, time.Time{})
	if err != nil || n != 1 {
		t.Errorf("LoginFailures = %d, %v, want 1", n, err)
	}
}

// trap hangs up when a line is logged.
type trap struct {
	slog.Handler
	hangUp context.CancelFunc
}

func (h trap) Handle(ctx context.Context, r slog.Record) error {
	h.hangUp()
	return h.Handler.Handle(ctx, r)
}

func TestGateForgetsPairs(t *testing.T) {
	g := gate{now: time.Now, failures: func(context.Context, pair) (int, time.Time, error) { return 0, time.Time{}, nil }}
	p := pair{"account", here}
	_, leave, err := g.enter(t.Context(), p)
	if err != nil || len(g.pairs) != 1 {
		t.Fatalf("enter = %v with %d pairs", err, len(g.pairs))
	}
	leave()
	if len(g.pairs) != 0 {
		t.Errorf("%d pairs are left", len(g.pairs))
	}
	for range maxAtOnce {
		g.join(p)
	}
	if _, _, err := g.enter(t.Context(), p); err == nil {
		t.Error("one more than maxAtOnce came in")
	}
}

func TestGateLetsGoOfThoseWhoLeave(t *testing.T) {
	g := gate{now: time.Now, failures: func(context.Context, pair) (int, time.Time, error) { return maxFailures - 1, time.Now(), nil }}
	p := pair{"account", here}
	_, leave, err := g.enter(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, _, err := g.enter(ctx, p)
		ended <- err
	}()
	cancel()
	if err := <-ended; err == nil {
		t.Error("a second one came in beside the last that may fail")
	}
	leave()
	if len(g.pairs) != 0 {
		t.Errorf("%d pairs are left", len(g.pairs))
	}
}

func TestGuessesFromManyAddressesCloseTheAccount(t *testing.T) {
	w := start(t, nil)
	for i := range maxAccountFailures {
		if err := w.Ledger.RecordLoginFailure(t.Context(), accountKey(email), fmt.Sprintf("198.51.100.%d", i%250)); err != nil {
			t.Fatal(err)
		}
	}
	checkProblem(t, login(t, w.url, email, password, here), http.StatusTooManyRequests)
	w.clock.Advance(ledger.FailureWindow)
	if r := login(t, w.url, email, password, here); r.status != http.StatusOK {
		t.Errorf("after the window: %+v", r)
	}
}
