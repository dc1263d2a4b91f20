package media

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// Conversion is a result in the making: an io.Reader of it, for a blob store to
// read while encoders work. Some bytes near its beginning, which tell the
// length, are known only at its end; they are read as zeros, and Amend gives
// them. Read it to its end, then ask Wait, which is to be called in any case.
type Conversion struct {
	out    *io.PipeReader
	cancel context.CancelCauseFunc
	done   chan struct{}

	// What came of it, once done is closed.
	made   Result
	headAt int64
	head   []byte
	err    error
}

// Convert begins to make one of the results of a plan. Sound that is in the
// codec of the format already, and that no option changes, is copied. Long MP3s
// are decoded once and encoded by as many ffmpegs as there are CPUs, see
// encode; other formats by one. progress, if not nil, is called from
// another goroutine with a per cent figure that grows, from 0 to 99: the
// caller knows when all is done. It must not block.
func (t Tools) Convert(ctx context.Context, in *Input, p Plan, f options.Format, progress func(percent int)) *Conversion {
	ctx, cancel := context.WithCancelCause(ctx)
	r, w := io.Pipe()
	c := &Conversion{out: r, cancel: cancel, done: make(chan struct{})}
	meter := &meter{total: p.length(), share: in.share, report: progress, last: -1}
	go func() {
		defer close(c.done)
		switch length := p.length(); {
		case p.copies(f), f == options.MP3 && !p.cut() && length > 0 && length <= short:
			c.err = c.whole(ctx, t, w, in, p, f, meter, t.encodeFile)
		case f == options.MP3:
			c.err = c.parts(ctx, t, w, in, p, meter)
		default:
			c.err = c.whole(ctx, t, w, in, p, f, meter, t.encodeDecoded)
		}
		if c.err != nil {
			_ = w.CloseWithError(c.err)
			return
		}
		_ = w.Close()
	}()
	return c
}

// short is the longest sound that one ffmpeg decodes and encodes: starting
// more of them would take longer than they save.
const short = 2 * shortestRun

// Read implements io.Reader. Its error is that of the conversion.
func (c *Conversion) Read(p []byte) (int, error) { return c.out.Read(p) }

// Amend returns what belongs in place of the zeros at an offset. It is to be
// called after Read has returned io.EOF.
func (c *Conversion) Amend() (at int64, p []byte) {
	<-c.done
	return c.headAt, c.head
}

// Wait returns what was made, or why nothing was. It ends a conversion that
// nobody has read to its end.
//
// The error is one of the Err values of this package (fail.Invalid) where the
// file cannot be converted: as from Probe, or its sound ends well before the
// file says that it does (ErrCutShort, ErrDamaged). A fault of the machine is
// fail.Unavailable; an ended ctx gives its cause; where the reader gave up, it
// is ErrUnread.
func (c *Conversion) Wait() (Result, error) {
	_ = c.out.CloseWithError(ErrUnread)
	c.cancel(ErrUnread)
	<-c.done
	return c.made, c.err
}

// ErrUnread is the cause of a conversion's end whose reader has given up.
var ErrUnread = errors.New("the conversion was not read to its end")

// whole has the result made in a temporary file.
func (c *Conversion) whole(ctx context.Context, t Tools, w io.Writer, in *Input, p Plan, f options.Format, meter *meter, encode encoderOfFile) error {
	out, err := TempFile(t.WorkDir)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	if c.made, err = encode(ctx, in, out, p, f, meter); err != nil {
		return err
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return fail.Wrap(fail.Unavailable, err, "rewind the audio")
	}
	if _, err := io.Copy(w, out); err != nil {
		return fail.Wrap(fail.Unavailable, err, "read the audio that was made")
	}
	return nil
}

// encoderOfFile writes the planned result to a file.
type encoderOfFile func(ctx context.Context, in *Input, out *os.File, p Plan, f options.Format, meter *meter) (Result, error)

// capped takes no more than so many bytes.
type capped struct {
	w    io.Writer
	left int64
}

// Write implements io.Writer; past the limit its error is ErrTooLarge.
func (c *capped) Write(p []byte) (int, error) {
	if c.left -= int64(len(p)); c.left < 0 {
		return 0, ErrTooLarge
	}
	return c.w.Write(p)
}

// parts has several encoders make an MP3.
func (c *Conversion) parts(ctx context.Context, t Tools, w io.Writer, in *Input, p Plan, meter *meter) error {
	made, err := newEncoding(t, p, meter).convert(ctx, in, &capped{w, t.maxResult()})
	if err != nil {
		return err
	}
	c.made, c.headAt, c.head = made.Result, made.headAt, made.head
	return nil
}
