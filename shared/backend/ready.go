package backend

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const (
	readyWithin = 3 * time.Second  // how long who asks waits for an answer
	checkWithin = 30 * time.Second // bounds a check itself: the first one may have tables to make
	readyStays  = time.Second      // how long its answer counts
)

// Ready reports whether every opened store can be used now. It takes 3
// seconds at most, and costs little however often and by however many it is
// asked: the stores are checked side by side, each by one check at a time
// whose answer counts for a second. The error is fail.Unavailable and names
// the stores, for clients too.
func (o *Opener) Ready(ctx context.Context) error {
	errs := make([]error, len(o.checks))
	var all sync.WaitGroup
	for i, c := range o.checks {
		all.Go(func() { errs[i] = c.ask(ctx) })
	}
	all.Wait()
	var names []string
	for i, err := range errs {
		if err != nil {
			names = append(names, o.checks[i].store)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &fail.Error{
		Kind: fail.Unavailable, Msg: errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...).Error(),
		Err: fail.New(fail.Unavailable, "Cannot be used now: %s.", strings.Join(names, ", ")),
	}
}

// check asks one store whether it is ready.
type check struct {
	store string
	ready func(context.Context) error

	mu   sync.Mutex
	last *answer
}

// answer is what a store says, or is about to say.
type answer struct {
	known chan struct{} // closed when the rest is there
	err   error
	at    time.Time
}

// ask returns what the store says, or that it says nothing in time.
func (c *check) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	a := c.current(ctx)
	select {
	case <-a.known:
		return fail.Wrap(fail.Unavailable, a.err, "%s", c.store)
	case <-ctx.Done():
		return fail.Wrap(fail.Unavailable, ctx.Err(), "%s: wait for an answer", c.store)
	}
}

// current returns the check that is under way, the last one if its answer
// still counts, or a new one.
func (c *check) current(ctx context.Context) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil {
		select {
		case <-c.last.known:
			if time.Since(c.last.at) < readyStays {
				return c.last
			}
		default:
			return c.last
		}
	}
	a := &answer{known: make(chan struct{})}
	c.last = a
	// It is for all who ask meanwhile, not only for who asked first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkWithin)
	go func() {
		defer close(a.known)
		defer cancel()
		a.err = c.ready(ctx)
		a.at = time.Now()
	}()
	return a
}
