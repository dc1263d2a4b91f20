package ledger

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// migrateWithin bounds one attempt to bring the tables up to date.
const migrateWithin = 10 * time.Minute

// schema brings the tables of a server up to date when they are first needed:
// once for all who need them at that moment, and again after a failure. It
// goes on if they do not wait for it.
type schema struct {
	migrate func(context.Context) error

	life    context.Context //nolint:containedctx // of the goroutine that migrates
	end     context.CancelFunc
	running sync.WaitGroup

	current atomic.Bool
	mu      sync.Mutex
	attempt *attempt // nil while nobody migrates
}

// attempt is one call of migrate; err is set once done is closed.
type attempt struct {
	done chan struct{}
	err  error
}

func newSchema(migrate func(context.Context) error) *schema {
	s := &schema{migrate: migrate}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// ready returns nil once the tables are up to date, at once if they are known
// to be. A nil schema is always ready.
func (s *schema) ready(ctx context.Context) error {
	if s == nil || s.current.Load() {
		return nil
	}
	a := s.join()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return fail.Wrap(fail.Unavailable, ctx.Err(), "wait for the tables")
	}
}

// doubt makes the next use look at the tables again if err says that one is
// missing, as where the database was made anew.
func (s *schema) doubt(err error) {
	if s != nil && number(err) == noSuchTable {
		s.current.Store(false)
	}
}

// join returns the attempt that is under way, or a new one.
func (s *schema) join() *attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attempt != nil {
		return s.attempt
	}
	a := &attempt{done: make(chan struct{})}
	if s.life.Err() != nil {
		a.err = errors.New("the ledger is closed")
		close(a.done)
		return a
	}
	s.attempt = a
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(s.life, migrateWithin)
		defer cancel()
		a.err = s.migrate(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.attempt = nil
		s.current.Store(a.err == nil)
		close(a.done)
	})
	return a
}

// close cuts off an attempt that is under way and waits for its end.
func (s *schema) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	s.running.Wait()
}
