package gridfs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Open implements blob.Store. It fetches no content before the first Read.
func (s *Store) Open(ctx context.Context, name blob.Bucket, id string) (blob.Reader, error) {
	b, err := s.use(ctx, name, id)
	if err != nil {
		return nil, err
	}
	f, err := s.find(ctx, b, id)
	if err != nil {
		return nil, err
	}
	if f.Length < 0 || f.Length > 0 && f.ChunkSize <= 0 {
		return nil, fail.Wrap(fail.Unavailable, fmt.Errorf("it has length %d, chunk size %d", f.Length, f.ChunkSize), "open blob %s", id)
	}
	return &reader{ctx: ctx, source: source{store: s, chunks: b.chunks, file: f}}, nil
}

// reader is an open blob. While one piece of it is read, the next one is
// fetched.
type reader struct {
	ctx    context.Context // of Open: it bounds every read
	source source
	at     int64
	closed bool

	now   piece        // where it was read last
	run   *run         // fetches pieces; nil before the first Read and after a seek out of its reach
	asked chan fetched // what it was asked for; nil if nothing
	spare []byte       // room for that
}

func (r *reader) Info() blob.Info { return r.source.file.info() }

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.source.file.Length
	default:
		return 0, fail.Wrap(fail.Internal, errors.New("no such whence"), "seek")
	}
	if offset < 0 {
		return 0, fail.Wrap(fail.Invalid, errors.New("before the start"), "seek")
	}
	r.at = offset
	return offset, nil
}

func (r *reader) Read(p []byte) (int, error) {
	switch err := r.ctx.Err(); {
	case r.closed:
		return 0, fail.Wrap(fail.Internal, errors.New("it is closed"), "read blob %s", r.source.file.ID)
	case err != nil:
		return 0, fail.Wrap(fail.Unavailable, err, "read blob %s", r.source.file.ID)
	case r.at >= r.source.file.Length:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if err := r.advance(); err != nil {
		return 0, err
	}
	n := copy(p, r.now.data[r.at-r.now.start:])
	r.at += int64(n)
	// Whoever has read a chunk of it is likely to go on.
	if r.run != nil && r.asked == nil && !r.run.done() && r.at >= r.now.start+r.source.chunkSize() {
		r.ask()
	}
	return n, nil
}

// advance gets the piece that holds the position.
func (r *reader) advance() error {
	for !r.now.holds(r.at) {
		if r.run != nil && !r.run.reaches(r.at) {
			r.leave()
		}
		if r.run == nil {
			r.run = r.source.from(r.ctx, r.at)
		}
		if r.asked == nil {
			r.ask()
		}
		got := <-r.asked // ends with ctx
		r.asked = nil
		if got.err != nil {
			r.leave()
			return got.err
		}
		r.run.expect()
		r.spare, r.now = r.now.data[:0], got.piece
	}
	return nil
}

// ask starts to fetch the next piece.
func (r *reader) ask() {
	asked, run, room := make(chan fetched, 1), r.run, r.spare
	r.asked, r.spare = asked, nil
	go func() {
		p, err := run.fetch(room)
		asked <- fetched{p, err}
	}()
}

// leave ends the run, and waits for what it does.
func (r *reader) leave() {
	if r.run == nil {
		return
	}
	r.run.cancel()
	if r.asked != nil {
		<-r.asked
	}
	r.run.leave()
	r.run, r.asked = nil, nil
}

// Close ends what is fetched, and waits for it.
func (r *reader) Close() error {
	r.leave()
	r.closed, r.now, r.spare = true, piece{}, nil
	return nil
}
