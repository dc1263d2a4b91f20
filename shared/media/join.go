package media

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/media/mp3"
)

// joined is what the joiner has written.
type joined struct {
	tag    int64 // bytes of the ID3 tag at the beginning; the header frame follows
	stream mp3.Stream
}

// join reads the frames of the runs and writes them as one stream, behind the
// tag and room for the header frame. No sound is io.EOF.
func (k *work) join(w io.Writer) (made joined, err error) {
	p, err := k.piece()
	if err != nil {
		return made, err
	}
	tag, err := k.tools.id3(k.ctx, k.plan)
	if err != nil {
		return made, err
	}
	first, err := p.encoder.frames.Next()
	if err != nil {
		return made, err
	}
	made.tag = int64(len(tag))
	if _, err := w.Write(append(tag, make([]byte, first.Header.HeadSize())...)); err != nil {
		return made, err
	}
	j := &joining{work: k, out: mp3.NewJoiner(w)}
	if err := j.add(first); err != nil {
		return made, err
	}
	if err := j.runs(p); err != nil {
		return made, err
	}
	made.stream, err = j.out.Close()
	return made, err
}

// piece waits for the next run; io.EOF after the last.
func (k *work) piece() (piece, error) {
	select {
	case p, ok := <-k.pieces:
		if !ok {
			return piece{}, io.EOF
		}
		return p, nil
	case <-k.ctx.Done():
		return piece{}, context.Cause(k.ctx)
	}
}

type joining struct {
	*work
	out    *mp3.Joiner
	frames int
}

func (j *joining) add(f mp3.Frame) error {
	j.frames++
	if j.frames%64 == 0 {
		j.meter.at(time.Duration(j.frames) * time.Duration(j.frame) * time.Second / time.Duration(j.rate))
	}
	return j.out.Add(f)
}

// runs joins all runs, from that whose first frame is written.
func (j *joining) runs(p piece) error {
	for left := j.run - 1; ; left = j.run - overlap {
		end, err := j.copy(p.encoder, left)
		if end || err != nil {
			return err
		}
		next, err := j.piece()
		if errors.Is(err, io.EOF) { // it was the last: whatever is left is its own
			_, err := j.copy(p.encoder, -1)
			return err
		}
		if err != nil {
			return err
		}
		if err := j.turn(p, next); err != nil {
			return err
		}
		p = next
		<-j.ahead
	}
}

// copy appends n frames of an encoder, or all that it still has where n is
// negative, and reports whether they have ended.
func (j *joining) copy(from *encoder, n int) (end bool, err error) {
	for ; n != 0; n-- {
		f, err := from.frames.Next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if err := j.add(f); err != nil {
			return false, err
		}
	}
	return false, nil
}

// turn changes over from one run to the next.
func (j *joining) turn(one, other piece) error {
	ends, err := take(one.encoder, overlap)
	if err != nil {
		return err
	}
	if _, err := take(other.encoder, other.early); err != nil {
		return err
	}
	begins, err := take(other.encoder, overlap)
	if err != nil {
		return err
	}
	j.frames += overlap
	return j.out.Join(ends, begins)
}

// take reads n frames of an encoder, which must have them.
func take(from *encoder, n int) ([]mp3.Frame, error) {
	all := make([]mp3.Frame, 0, n)
	for range n {
		f, err := from.frames.Next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}
