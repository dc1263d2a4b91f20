package login

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
)

// After maxFailures failed logins of one account from one address within
// ledger.FailureWindow, more are refused until the oldest of them is older than
// that; so they are after maxAccountFailures from all addresses together.
const (
	maxFailures        = 10
	maxAccountFailures = 100
	maxWait            = 10 * time.Second // how long a login waits for others of its pair
	maxAtOnce          = 100              // logins of one pair that are inside or wait
)

// pair is what failures are counted for.
type pair struct {
	account string // see accountKey
	address string // see clientAddress
}

// accountKey is what stands for an email address in the ledger's failures.
func accountKey(email string) string {
	sum := sha256.Sum256([]byte("audio-alchemist login\n" + email))
	return hex.EncodeToString(sum[:])
}

// gate keeps guesses that come at the same moment from getting round the
// limit: of one pair, only as many are let in at once as may still fail; the
// others wait for how those end. The count itself is in the ledger, so that it
// holds for every instance; only guesses that reach several instances at the
// same moment can get past it, by at most ten for each further instance.
type gate struct {
	failures func(context.Context, pair) (n int, oldest time.Time, err error)
	now      func() time.Time

	mu    sync.Mutex
	pairs map[pair]*turn
}

// turn is the state of one pair while any login of it is under way.
type turn struct {
	users  int           // logins that are inside or wait
	inside int           // logins that are inside
	left   int           // how many have left: a count read before is stale
	next   chan struct{} // closed when one leaves
}

// enter lets a login in; it must call leave once its outcome is in the ledger.
// It returns how many have failed within the window. fail.RateLimited if that
// is too many, fail.Unavailable if there was no turn in time.
func (g *gate) enter(ctx context.Context, p pair) (failed int, leave func(), err error) {
	t, ok := g.join(p)
	if !ok {
		return 0, nil, crowded()
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	for {
		failed, wait, err := g.try(ctx, p, t)
		if err != nil {
			g.part(p, t)
			return 0, nil, err
		}
		if wait == nil {
			return failed, func() { g.leave(p, t) }, nil
		}
		select {
		case <-wait:
		case <-timer.C:
			g.part(p, t)
			return 0, nil, crowded()
		case <-ctx.Done():
			g.part(p, t)
			return 0, nil, fail.Wrap(fail.Unavailable, ctx.Err(), "wait to log in")
		}
	}
}

// try counts and, if one more may fail, goes inside. Otherwise it returns
// what to wait for.
func (g *gate) try(ctx context.Context, p pair, t *turn) (failed int, wait <-chan struct{}, err error) {
	g.mu.Lock()
	left := t.left
	g.mu.Unlock()
	failed, oldest, err := g.failures(ctx, p)
	if err != nil {
		return 0, nil, err
	}
	if failed >= maxFailures {
		after := max(oldest.Add(ledger.FailureWindow).Sub(g.now()), time.Second)
		return 0, nil, fail.Later(fail.RateLimited, after, "Too many failed logins; wait %d minutes and try again.", int(after.Minutes())+1)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.left != left {
		return 0, closed, nil
	}
	if failed+t.inside >= maxFailures {
		return 0, t.next, nil
	}
	t.inside++
	return failed, nil, nil
}

// closed is what there is nothing to wait for at.
var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func crowded() error {
	return fail.Later(fail.Unavailable, maxWait, "Too many logins to this account at the same moment; try again shortly.")
}

func (g *gate) join(p pair) (*turn, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pairs == nil {
		g.pairs = map[pair]*turn{}
	}
	t := g.pairs[p]
	if t == nil {
		t = &turn{next: make(chan struct{})}
		g.pairs[p] = t
	}
	if t.users >= maxAtOnce {
		return nil, false
	}
	t.users++
	return t, true
}

func (g *gate) leave(p pair, t *turn) {
	g.mu.Lock()
	t.inside--
	t.left++
	close(t.next)
	t.next = make(chan struct{})
	g.mu.Unlock()
	g.part(p, t)
}

func (g *gate) part(p pair, t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(g.pairs, p)
	}
}
