package media

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// blockBytes is how much sound is read at a time: so much that two programs and
// this one seldom wait for each other.
const blockBytes = 256 << 10

// block is memory for samples, which is used again.
type block struct {
	bytes   [blockBytes]byte
	keepers atomic.Int32
}

var blocks = sync.Pool{New: func() any { return new(block) }}

// chunk is a piece of a block of samples, cut anywhere. The memory is used again
// once every keeper has dropped it; whoever reads it is the first.
type chunk struct {
	bytes []byte
	block *block
}

// readChunk fills a block, or less at the end of r, then with io.EOF.
func readChunk(r io.Reader) (chunk, error) {
	b := blocks.Get().(*block) //nolint:forcetypeassert // nothing else is in there
	b.keepers.Store(1)
	n, err := io.ReadFull(r, b.bytes[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return chunk{b.bytes[:n], b}, err
}

// from and to are pieces of it, which keep no memory by themselves.
func (c chunk) from(n int) chunk { return chunk{c.bytes[n:], c.block} }
func (c chunk) to(n int) chunk   { return chunk{c.bytes[:n], c.block} }

// keep adds a keeper.
func (c chunk) keep() chunk {
	c.block.keepers.Add(1)
	return c
}

// drop is called once by each keeper.
func (c chunk) drop() {
	if c.block.keepers.Add(-1) == 0 {
		blocks.Put(c.block)
	}
}

// feed hands samples to an encoder's stdin, without copying them. It is written
// to by one goroutine and read by one. A writer that has to wait does so until
// a sixteenth of the room is free, so that it is not woken for each chunk; were
// it more, other encoders could run dry meanwhile.
type feed struct {
	ctx   context.Context //nolint:containedctx // it ends waiting
	room  int             // bytes that may wait
	mu    sync.Mutex
	turn  sync.Cond // something was put, taken or ended
	held  int       // bytes that wait
	queue []chunk
	ended bool // nothing more is put
	gone  bool // nothing more is taken
}

// newFeed makes one; ctx must end.
func newFeed(ctx context.Context, room int) *feed {
	f := &feed{ctx: ctx, room: room}
	f.turn.L = &f.mu
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.turn.Broadcast()
	})
	return f
}

// low is how many bytes may be left for a waiting writer to go on.
func (f *feed) low() int { return f.room - f.room/16 }

// put waits until there is room, and keeps the chunk until it is given on.
func (f *feed) put(c chunk) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for full := f.room; f.held >= full && !f.gone && f.ctx.Err() == nil; full = f.low() {
		f.turn.Wait()
	}
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	if f.gone {
		return io.ErrClosedPipe
	}
	f.queue = append(f.queue, c.keep())
	f.held += len(c.bytes)
	f.turn.Broadcast()
	return nil
}

// close ends it: nothing more is put.
func (f *feed) close() { f.set(&f.ended) }

func (f *feed) set(flag *bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*flag = true
	f.turn.Broadcast()
}

// next waits for more, to be dropped by the caller; io.EOF after the last.
func (f *feed) next() (chunk, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.queue) == 0 && !f.ended && !f.gone && f.ctx.Err() == nil {
		f.turn.Wait()
	}
	if f.ctx.Err() != nil {
		return chunk{}, context.Cause(f.ctx)
	}
	if f.gone {
		return chunk{}, io.ErrClosedPipe
	}
	if len(f.queue) == 0 {
		return chunk{}, io.EOF
	}
	c := f.queue[0]
	f.queue = f.queue[1:]
	before := f.held
	if f.held -= len(c.bytes); before >= f.low() && f.held < f.low() {
		f.turn.Broadcast()
	}
	return c, nil
}

// writeTo gives all to a program as its stdin. The error is the program's, or
// else why it did not get all: it may have ended before.
func (f *feed) writeTo(run func(stdin *os.File) error) error {
	r, w, err := widePipe(writing)
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "make a pipe")
	}
	defer context.AfterFunc(f.ctx, func() { _ = w.SetDeadline(time.Now()) })()
	given := make(chan error, 1)
	go func() {
		given <- f.giveAll(w)
		_ = w.Close()
	}()
	err = run(r)
	_ = r.Close()
	f.set(&f.gone)
	if fault := <-given; err == nil {
		err = fault
	}
	return err
}

func (f *feed) giveAll(w io.Writer) error {
	for {
		c, err := f.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(c.bytes); err != nil {
			return err
		}
		c.drop()
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
