package mp3

import (
	"fmt"
	"io"
)

// Joiner writes one stream of the frames that several encoders made. Frames
// must be of one sample rate and one number of channels.
type Joiner struct {
	pack  packer
	meter meter
	first Header
}

// NewJoiner writes to w.
func NewJoiner(w io.Writer) *Joiner {
	j := &Joiner{}
	j.meter.w = w
	j.pack.w = &j.meter
	return j
}

// Add appends a frame. The error is that of the writer, ErrFormat for a frame
// of another kind than the first, or ErrReservoir.
func (j *Joiner) Add(f Frame) error {
	if j.first == 0 {
		j.first = f.Header
	}
	if !f.Header.same(j.first) {
		return fmt.Errorf("%w: frames of different kinds", ErrFormat)
	}
	return j.pack.add(f)
}

// Join appends the frames that two encoders made of the same sound, those of
// the one first and then those of the other, which must be as many. It changes
// over where the reservoir, as it is by then, has what the other encoder took
// from its own; where that is nowhere, at the place that lacks least, and some
// frame behind it gets a higher bit rate.
func (j *Joiner) Join(one, other []Frame) error {
	if len(one) != len(other) {
		return fmt.Errorf("join %d frames to %d", len(one), len(other))
	}
	change := j.pack.change(one, other)
	for i := range one {
		f := one[i]
		if i >= change {
			f = other[i]
		}
		if err := j.Add(f); err != nil {
			return err
		}
	}
	return nil
}

// change finds the first frame to take from the other encoder.
func (p *packer) change(one, other []Frame) int {
	best, least := 0, int64(1)<<62
	try := packer{end: p.end, filled: p.filled}
	for i, f := range one {
		o := other[i]
		lack := try.begin(o.Header) - (try.end - int64(o.back))
		if lack <= 0 {
			return i
		}
		if lack < least {
			best, least = i, lack
		}
		try.filled = try.begin(f.Header) + int64(len(f.data))
		try.end += int64(f.Header.payload())
	}
	return best
}

// Close writes what is still held back and describes the stream, which then
// has no more frames.
func (j *Joiner) Close() (Stream, error) {
	if err := j.pack.flush(); err != nil {
		return Stream{}, err
	}
	s := j.meter.stream
	s.Header, s.Raised = j.first, j.pack.raised
	s.places = j.meter.places
	return s, nil
}
