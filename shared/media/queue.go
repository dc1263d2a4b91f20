package media

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// feed hands blocks of samples to an encoder's stdin. It is read by one
// goroutine; the blocks are not copied.
type feed struct {
	ctx    context.Context //nolint:containedctx // it ends a Read
	blocks chan []byte
	rest   []byte
}

func newFeed(ctx context.Context, blocks int) *feed {
	return &feed{ctx: ctx, blocks: make(chan []byte, blocks)}
}

// put waits until there is room for a block.
func (f *feed) put(block []byte) error {
	select {
	case f.blocks <- block:
		return nil
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	}
}

// Read implements io.Reader. It waits for a block, and takes as many more as
// there are and p has room for.
func (f *feed) Read(p []byte) (n int, err error) {
	if len(f.rest) == 0 {
		select {
		case block, ok := <-f.blocks:
			if !ok {
				return 0, io.EOF
			}
			f.rest = block
		case <-f.ctx.Done():
			return 0, context.Cause(f.ctx)
		}
	}
	for {
		k := copy(p[n:], f.rest)
		f.rest = f.rest[k:]
		if n += k; n == len(p) {
			return n, nil
		}
		select {
		case f.rest = <-f.blocks: // nil once they have ended
		default:
		}
		if len(f.rest) == 0 {
			return n, nil
		}
	}
}

// pile keeps what an encoder has written until it is read: a pipe that is
// never full, since another encoder's part may have to come first. How much
// there is depends on how much the encoder is fed.
type pile struct {
	mu   sync.Mutex
	more sync.Cond
	kept bytes.Buffer
	end  error // what Read gives after the last byte
}

func newPile() *pile {
	p := &pile{}
	p.more.L = &p.mu
	return p
}

// Write never fails.
func (p *pile) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.more.Signal()
	return p.kept.Write(b)
}

// close ends it: with io.EOF, or with an error.
func (p *pile) close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = err
	p.more.Signal()
}

// Read implements io.Reader.
func (p *pile) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.kept.Len() == 0 {
		if p.end != nil {
			return 0, p.end
		}
		p.more.Wait()
	}
	return p.kept.Read(b)
}
