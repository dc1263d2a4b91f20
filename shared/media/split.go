package media

import (
	"context"
	"errors"
)

// errStopped is what the decoder's output fails with once the encoding has
// ended otherwise.
var errStopped = errors.New("the encoding has ended")

// splitter shares the samples that are written to it out among encoders. It
// starts another run only once there is sound for all that it shares with the
// one before: a short rest stays with that.
type splitter struct {
	*work
	size int // bytes of a frame of samples

	block   []byte   // the frame that is being filled
	recent  [][]byte // the last frames, of which the next run begins
	blocks  int      // frames so far
	samples int64
	runs    int
	current *encoder
	next    int // the frame from which the next run counts
}

// Write implements io.Writer.
func (s *splitter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if s.block == nil {
			s.block = make([]byte, 0, s.size)
		}
		k := min(len(p), s.size-len(s.block))
		s.block = append(s.block, p[:k]...)
		p = p[k:]
		if len(s.block) == s.size {
			if err := s.full(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// full takes a frame that is full.
func (s *splitter) full() error {
	block := s.block
	s.block = nil
	if s.current == nil {
		if err := s.begin(0); err != nil {
			return err
		}
	}
	if s.blocks == s.next+overlap+late {
		if err := s.turn(); err != nil {
			return err
		}
	}
	if s.recent = append(s.recent, block); len(s.recent) > early+overlap+late {
		s.recent = s.recent[1:]
	}
	s.blocks++
	s.samples += int64(s.frame)
	return s.stopped(s.current.feed.put(block))
}

// turn begins the next run with the frames that it shares with this one.
func (s *splitter) turn() error {
	s.current.spare = late
	if err := s.begin(early); err != nil {
		return err
	}
	for _, block := range s.recent {
		if err := s.current.feed.put(block); err != nil {
			return s.stopped(err)
		}
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

// finish takes what is left at the end of the sound, and ends the encoders.
func (s *splitter) finish() error {
	if len(s.block) > 0 {
		if s.current == nil {
			if err := s.begin(0); err != nil {
				return err
			}
		}
		s.samples += int64(len(s.block) / (s.channels * sampleBytes))
		if err := s.current.feed.put(s.block); err != nil {
			return s.stopped(err)
		}
	}
	for _, c := range s.encoders {
		close(c.feed.blocks)
	}
	close(s.pieces)
	return nil
}

func (s *splitter) stopped(err error) error {
	if err != nil {
		return errors.Join(errStopped, err)
	}
	return nil
}
