package smtp

import (
	"slices"
	"sync"
	"time"
)

// pool keeps connections between mails, each for a while.
type pool struct {
	after time.Duration // how long

	mu      sync.Mutex
	idle    []*connection // used last at the end
	closed  bool
	leaving sync.WaitGroup // connections that are being ended
}

// take returns the connection that was used last, nil if none is kept.
func (p *pool) take() *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	c := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	c.expire.Stop()
	return c
}

// keep puts the connection aside for the next mail.
func (p *pool) keep(c *connection) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		c.expire = time.AfterFunc(p.after, func() { p.end(c) })
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if closed {
		c.quit()
	}
}

// end ends the connection unless somebody has taken it meanwhile.
func (p *pool) end(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.idle, c); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		p.leaving.Go(c.quit)
	}
}

// close ends all connections, those too that are put aside later.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.idle {
		c.expire.Stop()
		p.leaving.Go(c.quit)
	}
	p.idle = nil
	p.mu.Unlock()
	p.leaving.Wait()
}
