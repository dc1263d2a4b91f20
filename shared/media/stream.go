package media

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"syscall"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// How much of a stream is held at once, in bytes: little at first, as ffprobe
// may soon have enough, and what is read for nothing may be far apart in the
// source.
const (
	firstFeed   = 4 << 10
	largestFeed = 256 << 10
)

// runOn runs a program on an input, which is its descriptor 3; files are those
// from 4 on. The rest is as for run. A fault of what a stream comes from is
// fail.Unavailable, however the program ended: it may have taken it for the
// end of the file. A stream of fragments that ends within one is ErrCutShort.
func (t Tools) runOn(ctx context.Context, in *Input, path string, args []string, stdout io.Writer, log *messages, files ...*os.File) error {
	if !in.Streamed() {
		err := t.run(ctx, path, args, nil, stdout, log, append([]*os.File{in.file}, files...)...)
		return in.blamed(err, log)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "make a pipe")
	}
	var seen tally
	fed := make(chan error, 1)
	go func() { fed <- in.feed(ctx, w, &seen) }()
	err = t.run(ctx, path, args, nil, stdout, log, append([]*os.File{r}, files...)...)
	_ = r.Close() // nobody reads it any more: writing ends
	if fault := <-fed; fault != nil {
		return fail.Wrap(fail.Unavailable, fault, "read the input")
	}
	if err = in.blamed(err, log); err == nil && seen.cut {
		return because(ErrCutShort, errors.New("the last fragment is not whole"))
	}
	return err
}

// blamed corrects the blame where a program reports a fault in reading its
// input: some demuxers do so at the end of a file that promises more. If all
// of it can be read, the file is at fault; whether a stream can is known.
func (in *Input) blamed(err error, log *messages) error {
	if err == nil || !log.has(inputFile+": Input/output error") {
		return err
	}
	if in.file != nil {
		if _, fault := io.Copy(io.Discard, io.NewSectionReader(in.file, 0, math.MaxInt64)); fault != nil {
			return fail.Wrap(fail.Unavailable, fault, "read the input")
		}
	}
	return because(ErrDamaged, &ProgramError{Program: "a program", Messages: log.String(), Err: err})
}

// feed writes the stream into w and closes it. That the program has read
// enough is no error.
func (in *Input) feed(ctx context.Context, w *os.File, seen *tally) error {
	defer func() { _ = w.Close() }()
	src := io.NopCloser(io.NewSectionReader(in.at, 0, in.size))
	if in.movie != nil {
		src = in.movie.Reader()
	}
	defer func() { _ = src.Close() }()
	in.fed.Store(0)
	buf := make([]byte, largestFeed)
	for done := int64(0); ctx.Err() == nil; in.fed.Store(done) {
		n, err := src.Read(buf[:min(firstFeed+done, largestFeed)])
		if _, err := w.Write(buf[:n]); errors.Is(err, syscall.EPIPE) {
			return nil
		} else if err != nil {
			return err
		}
		seen.add(buf[:n])
		done += int64(n)
		switch {
		case errors.Is(err, io.EOF) && done < in.total:
			return io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			seen.end()
			return nil
		case err != nil:
			return err
		}
	}
	return context.Cause(ctx)
}

// tally follows the top-level boxes of an mp4 in fragments while it passes, for
// the index of such a file goes with what is missing of it.
type tally struct {
	head      []byte // of the box that begins, as far as it is there
	left      int64  // of the box that passes
	fragments bool
	other     bool // no boxes, or the last one is open-ended
	cut       bool // see end
}

func (t *tally) add(p []byte) {
	for len(p) > 0 && !t.other {
		if t.left > 0 {
			n := min(t.left, int64(len(p)))
			t.left -= n
			p = p[n:]
			continue
		}
		need := 8
		if len(t.head) >= 8 && binary.BigEndian.Uint32(t.head) == 1 {
			need = 16
		}
		n := min(need-len(t.head), len(p))
		t.head = append(t.head, p[:n]...)
		p = p[n:]
		if len(t.head) == need && (need == 16 || binary.BigEndian.Uint32(t.head) != 1) {
			t.begin(int64(need))
		}
	}
}

// begin takes note of a box whose header is there.
func (t *tally) begin(header int64) {
	length := int64(binary.BigEndian.Uint32(t.head))
	if header == 16 {
		length = int64(binary.BigEndian.Uint64(t.head[8:]))
	}
	t.fragments = t.fragments || string(t.head[4:8]) == "moof"
	t.other = length < header || !isBoxType(t.head[4:8])
	t.left, t.head = length-header, t.head[:0]
}

// end decides, when everything has passed, whether a fragment was cut.
func (t *tally) end() { t.cut = t.fragments && !t.other && t.left > 0 }
