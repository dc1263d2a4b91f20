package user

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// HasherOptions bounds a Hasher; zero fields get their defaults.
type HasherOptions struct {
	Concurrent int           // hashes at once, 46 MiB each; default: the CPUs, at most 8
	Queue      int           // callers that may wait for a turn; default 128
	Wait       time.Duration // how long one waits; default 10 s
}

// Hasher hashes and verifies passwords, never more than a few at once, so
// that many logins at the same moment wait for memory instead of taking it.
// Safe for concurrent use.
type Hasher struct {
	slots   chan struct{}
	queue   int64
	wait    time.Duration
	waiting atomic.Int64
	dummy   phc
}

// NewHasher makes a Hasher.
func NewHasher(o HasherOptions) *Hasher {
	if o.Concurrent <= 0 {
		o.Concurrent = min(runtime.GOMAXPROCS(0), 8)
	}
	if o.Queue <= 0 {
		o.Queue = 128
	}
	if o.Wait <= 0 {
		o.Wait = 10 * time.Second
	}
	dummy := phc{memory: costMemory, time: costTime, threads: costThreads,
		salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}
	return &Hasher{slots: make(chan struct{}, o.Concurrent), queue: int64(o.Queue), wait: o.Wait, dummy: dummy}
}

// Hash returns the PHC string of the password: argon2id with m = 47104 KiB,
// t = 1, p = 1, a random salt of 16 bytes and a key of 32. What CheckPassword
// refuses is fail.Invalid; no turn in time is fail.Unavailable.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	return h.hash(ctx, password)
}

// HashOld is Hash for a password that was chosen under other rules: it may be
// shorter than MinPassword, but not empty.
func (h *Hasher) HashOld(ctx context.Context, password string) (string, error) {
	if err := CheckOldPassword(password); err != nil {
		return "", err
	}
	return h.hash(ctx, password)
}

func (h *Hasher) hash(ctx context.Context, password string) (string, error) {
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return newPHC(password).String(), nil
}

// Verify reports whether the password is the one that the hash was made of;
// the cost is read from the hash, and one that asks for more than 64 MiB, 16
// passes or 16 threads is fail.Internal. No turn in time is fail.Unavailable.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (bool, error) {
	p, err := parsePHC(hash)
	if err != nil {
		return false, fail.Wrap(fail.Internal, err, "read password hash")
	}
	return h.verify(ctx, p, password)
}

// VerifyUnknown does the work of Verify for a user who does not exist, so
// that time does not tell who does. It never succeeds: its only errors are
// those of Verify for want of a turn.
func (h *Hasher) VerifyUnknown(ctx context.Context, password string) error {
	_, err := h.verify(ctx, h.dummy, password)
	return err
}

func (h *Hasher) verify(ctx context.Context, p phc, password string) (bool, error) {
	release, err := h.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	fits := len(password) <= MaxPassword
	if !fits { // nobody's password, but the same work
		password = password[:MaxPassword]
	}
	return p.matches(password) && fits, nil
}

// acquire waits for a turn; the caller must call release.
func (h *Hasher) acquire(ctx context.Context) (release func(), err error) {
	release = func() {
		// The 46 MiB are garbage now. Left to its own pace the collector would
		// let as much again pile up before it looked, here or in whatever the
		// process does next.
		runtime.GC()
		<-h.slots
	}
	if err := ctx.Err(); err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "wait to hash a password")
	}
	select {
	case h.slots <- struct{}{}:
		return release, nil
	default:
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > h.queue {
		return nil, h.busy()
	}
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, h.busy()
	case <-ctx.Done():
		return nil, fail.Wrap(fail.Unavailable, ctx.Err(), "wait to hash a password")
	}
}

func (h *Hasher) busy() error {
	return fail.Later(fail.Unavailable, 5*time.Second, "Too many people are logging in right now; try again in a moment.")
}
