package media

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/media/mp4"
)

// Input is what Probe, Prepare, Convert and Verify read: a file of this machine, or one that is
// streamed to the programs while it is fetched from elsewhere. It is for one
// call at a time.
type Input struct {
	at   io.ReaderAt
	size int64 // of a stream
	kind *kind // once it was looked at

	file  *os.File    // what the programs open; nil for a stream
	movie *mp4.Stream // how it is laid out for them; nil for a stream that is as it is
	spool *os.File    // the copy that file is; nil if it is none
	head  int64       // how much of a stream Probe looks at, in bytes
	tail  int64       // and how much at its end

	fed   atomic.Int64 // how much a program was given of a stream
	total int64        // of how much
}

// Probe sees so much of a stream that is not an mp4: what ffprobe reads of a
// file without being asked (probesize), and where it looks for the last
// timestamps (DURATION_MAX_READ_SIZE of libavformat) and for tags.
const (
	probedHead = 5 << 20
	probedTail = 1 << 20
)

// Local makes an Input of a file, which the programs open themselves. It is
// read from its beginning, wherever its offset is. It stays the caller's, and
// the Input needs no Close.
func Local(f *os.File) *Input { return &Input{at: f, file: f} }

// Open makes an Input of something of size bytes that is elsewhere. Reads of r
// must end with the ctx that those are given; an error of them is
// fail.Unavailable there.
//
// It looks at the beginning, which tells whether it is of a kind that is
// taken, and at the index of an mp4. One of at most CopyUpTo bytes is copied.
// Of a larger one, whatever can be read
// from front to back will be streamed; of anything else a copy is made here, in
// a file without a name in WorkDir. Of an mp4 whose pictures are not wanted
// only the sound is read. Errors are fail.Unavailable, the reason to refuse what
// is of no known kind (fail.Invalid), or ErrDamaged for an mp4 without index.
func (t Tools) Open(ctx context.Context, r io.ReadSeeker, size int64, pictures bool) (*Input, error) {
	in := &Input{at: &rangeReader{r: r, at: -1}, size: size, total: size, head: probedHead, tail: probedTail}
	kind, err := in.sniffed()
	switch {
	case err != nil:
		return nil, err
	case size <= t.CopyUpTo:
		err = t.copyOf(ctx, in)
	case kind.demuxer == movie.demuxer:
		err = in.layOut(pictures)
	case !kind.sequential:
		err = mp4.ErrNotStreamable
	}
	if errors.Is(err, mp4.ErrNotStreamable) {
		err = t.copyOf(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	return in, nil
}

// sniffed looks at the file, once. What is of no kind that is taken is refused
// with the reason; other errors are fail.Unavailable.
func (in *Input) sniffed() (kind, error) {
	if in.kind != nil {
		return *in.kind, nil
	}
	size, err := in.length()
	if err != nil {
		return kind{}, fail.Wrap(fail.Unavailable, err, "look at the input")
	}
	k, err := sniff(in.at, size)
	if err != nil {
		if fail.Is(err, fail.Invalid) {
			return kind{}, err
		}
		return kind{}, fail.Wrap(fail.Unavailable, err, "read the input")
	}
	in.kind = &k
	return k, nil
}

// Close removes the copy, if one was made.
func (in *Input) Close() error {
	if in.spool == nil {
		return nil
	}
	return in.spool.Close()
}

// Streamed reports whether the programs get the content through a pipe.
func (in *Input) Streamed() bool { return in.file == nil }

// length returns the size in bytes, which a local file may have changed.
func (in *Input) length() (int64, error) {
	if in.file == nil {
		return in.size, nil
	}
	st, err := in.file.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// share is how much of a stream a program was given, from 0 to 1; 0 of a file.
func (in *Input) share() float64 {
	if in.total == 0 {
		return 0
	}
	return float64(in.fed.Load()) / float64(in.total)
}

// layOut reads the index of an mp4.
func (in *Input) layOut(pictures bool) error {
	keep := mp4.Sound
	if pictures {
		keep = mp4.All
	}
	movie, err := mp4.Open(in.at, in.size, keep)
	switch {
	case errors.Is(err, mp4.ErrNoIndex):
		return because(ErrDamaged, err)
	case errors.Is(err, mp4.ErrNotStreamable):
		return err
	case err != nil:
		return fail.Wrap(fail.Unavailable, err, "read the index")
	}
	in.movie, in.total = movie, movie.Len()
	return nil
}

// copyOf makes the programs read a copy.
func (t Tools) copyOf(ctx context.Context, in *Input) error {
	spool, err := TempFile(t.WorkDir)
	if err != nil {
		return err
	}
	src := &whileAlive{ctx, io.NewSectionReader(in.at, 0, in.size)}
	n, err := io.Copy(spool, src)
	if err == nil && n < in.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		_ = spool.Close()
		if ctx.Err() != nil {
			return ended(ctx, "copy the input")
		}
		return fail.Wrap(fail.Unavailable, err, "copy the input")
	}
	in.file, in.at, in.spool = spool, spool, spool
	return nil
}

// sketch returns what Probe shows to ffprobe, and what releases it: a file as
// it is, the stream of an mp4, and of other streams a file of the same size
// with a hole between head and tail. There it finds how long the sound is, and
// tags, as it would in the whole.
func (t Tools) sketch(in *Input) (*Input, func(), error) {
	if in.file != nil || in.movie != nil {
		return in, func() {}, nil
	}
	f, err := TempFile(t.WorkDir)
	if err != nil {
		return nil, nil, err
	}
	head := min(in.head, in.size)
	tail := min(in.tail, in.size-head)
	for _, part := range []struct{ at, size int64 }{{0, head}, {in.size - tail, tail}} {
		src := io.NewSectionReader(in.at, part.at, part.size)
		var n int64
		if n, err = io.Copy(io.NewOffsetWriter(f, part.at), src); err == nil && n < part.size {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			_ = f.Close()
			return nil, nil, fail.Wrap(fail.Unavailable, err, "read the input")
		}
	}
	return Local(f), func() { _ = f.Close() }, nil
}

// rangeReader reads ranges of what can only seek. Not safe for concurrent use.
type rangeReader struct {
	r  io.ReadSeeker
	at int64 // -1 where it is not known
}

// ReadAt implements io.ReaderAt.
func (r *rangeReader) ReadAt(p []byte, off int64) (int, error) {
	if off != r.at {
		r.at = -1
		if _, err := r.r.Seek(off, io.SeekStart); err != nil {
			return 0, err
		}
	}
	n, err := io.ReadFull(r.r, p)
	r.at = off + int64(n)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// whileAlive reads until ctx ends.
type whileAlive struct {
	ctx context.Context
	io.Reader
}

func (w *whileAlive) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Reader.Read(p)
}
