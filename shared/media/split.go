package media

import (
	"context"
	"errors"
)

// errStopped is what the decoder's output fails with once the encoding has
// ended otherwise.
var errStopped = errors.New("the encoding has ended")

// splitter shares samples out among encoders. It starts another run only once
// there is sound for more than it shares with the one before: a short rest
// stays with that.
type splitter struct {
	*work
	size int // bytes of a frame of samples

	passed  int     // bytes so far
	recent  []chunk // the last of them, with all that the next run begins with
	kept    int     // bytes of that
	runs    int
	current *encoder
	next    int // the frame from which the next run counts
}

// take shares them out.
func (s *splitter) take(all chunk) error {
	if s.current == nil {
		if err := s.begin(0); err != nil {
			return err
		}
	}
	for len(all.bytes) > 0 {
		left := (s.next+overlap+late)*s.size - s.passed // of the run
		if left == 0 {
			if err := s.turn(); err != nil {
				return err
			}
			continue
		}
		part := all.to(min(len(all.bytes), left))
		all = all.from(len(part.bytes))
		s.passed += len(part.bytes)
		s.remember(part)
		if err := s.current.feed.put(part); err != nil {
			return s.stopped(err)
		}
	}
	return nil
}

// remember keeps what the next run may begin with.
func (s *splitter) remember(part chunk) {
	s.recent = append(s.recent, part.keep())
	s.kept += len(part.bytes)
	for s.kept-len(s.recent[0].bytes) >= (early+overlap+late)*s.size {
		s.kept -= len(s.recent[0].bytes)
		s.recent[0].drop()
		s.recent = s.recent[1:]
	}
}

// turn begins the next run with the frames that it shares with this one.
func (s *splitter) turn() error {
	s.current.spare = late
	if err := s.begin(early); err != nil {
		return err
	}
	skip := s.kept - (early+overlap+late)*s.size
	for _, part := range s.recent {
		if err := s.current.feed.put(part.from(skip)); err != nil {
			return s.stopped(err)
		}
		skip = 0
	}
	return nil
}

// begin hands a run to the encoder whose turn it is, and to the joiner.
func (s *splitter) begin(early int) error {
	select {
	case s.ahead <- struct{}{}:
	case <-s.ctx.Done():
		return s.stopped(context.Cause(s.ctx))
	}
	if s.runs < s.most {
		s.start()
	}
	s.current = s.encoders[s.runs%s.most]
	s.pieces <- piece{encoder: s.current, early: early + s.current.spare}
	s.current.spare = 0
	s.runs++
	s.next += s.run
	return nil
}

// finish ends the encoders, at the end of the sound.
func (s *splitter) finish() {
	for _, c := range s.encoders {
		c.feed.close()
	}
	close(s.pieces)
}

// samples is how many passed, for each channel.
func (s *splitter) samples() int64 { return int64(s.passed / (s.channels * sampleBytes)) }

func (s *splitter) stopped(err error) error {
	if err != nil {
		return errors.Join(errStopped, err)
	}
	return nil
}
