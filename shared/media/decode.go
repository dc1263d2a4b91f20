package media

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// decoding is what came of decoding the sound.
type decoding struct {
	samples int64 // for each channel, of the part that is wanted
	log     messages
}

// length is how long that is.
func (d *decoding) length(rate int) time.Duration {
	return time.Duration(d.samples) * time.Second / time.Duration(rate)
}

// decode writes the wanted part of the sound to w, as samples of 32-bit floating
// point. They are counted here and not by ffmpeg, whose filters begin anew
// where the channels of a source change, and whose timestamps are the file's.
func (t Tools) decode(ctx context.Context, in *Input, p Plan, rate, channels int, w io.Writer) (*decoding, error) {
	d := &decoding{}
	c := p.cutter(rate, channels, w)
	args := append(append(programArgs(), p.decodeArgs(rate, channels)...), "-c:a", "pcm_f32le", "-flush_packets", "0", "-f", "f32le", "pipe:1")
	err := outcome(ctx, "ffmpeg", t.runOn(ctx, in, t.FFmpeg, args, c, &d.log), &d.log)
	d.samples = c.passed / int64(channels*sampleBytes)
	switch {
	case ctx.Err() != nil || !c.full && !c.over:
		return d, err
	case c.over:
		return d, tooLong(p.info.longest)
	}
	return d, nil // ended by us
}

// through decodes the sound into a second ffmpeg, which reads it from its
// stdin; args (from the input on), log and files are that one's, as for run. Its
// faults are fail.Unavailable, but for a result that is too large.
func (t Tools) through(ctx context.Context, in *Input, p Plan, rate int, args []string, log *messages, meter *meter, files ...*os.File) (*decoding, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	channels := p.channels()
	samples := newFeed(ctx, blocksAhead)
	args = append(append([]string{"-hide_banner", "-nostdin", "-nostats"}, samplesArgs(rate, channels)...), args...)
	second := make(chan error, 1)
	go func() {
		err := t.run(ctx, t.FFmpeg, args, samples, nil, log, files...)
		if err != nil {
			err = ofEncoder(err, log)
			end(err)
		}
		second <- err
	}()
	d, err := t.decode(ctx, in, p, rate, channels, &blocks{feed: samples, meter: meter, second: int64(rate * channels * sampleBytes)})
	if err == nil {
		close(samples.blocks)
	} else {
		end(err)
	}
	if failed := <-second; err == nil {
		err = failed
	}
	return d, err
}

// samplesArgs make ffmpeg read samples from its stdin.
func samplesArgs(rate, channels int) []string {
	return append([]string{"-f", "f32le", "-ar", strconv.Itoa(rate), "-ac", strconv.Itoa(channels)}, pipeArgs("pipe:0")...)
}

// pipeArgs make ffmpeg read what may be a pipe, on the thread that works. Where
// there are several inputs it would read each on a thread of its own, 8 packets
// ahead, and look only every 10 ms for what has come through a pipe: so sound
// goes through 30 times as fast as it is played, and no faster.
func pipeArgs(name string) []string { return []string{"-thread_queue_size", "0", "-i", name} }

// ofEncoder is the error of a program that reads samples alone: no fault of
// the file.
func ofEncoder(err error, log *messages) error {
	cause := &ProgramError{Program: "ffmpeg", Messages: log.String(), Err: err}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && limitOf(exit) != nil {
		return because(limitOf(exit), cause)
	}
	return fail.Wrap(fail.Unavailable, cause, "encode")
}

// blocksAhead is how many blocks of a pipe's size may wait for the second
// program.
const blocksAhead = 32

// blocks hands what is written to a feed.
type blocks struct {
	feed   *feed
	meter  *meter // nil for none
	second int64  // bytes of one
	passed int64
}

// Write implements io.Writer.
func (b *blocks) Write(p []byte) (int, error) {
	if err := b.feed.put(append([]byte(nil), p...)); err != nil {
		return 0, err
	}
	if b.passed += int64(len(p)); b.meter != nil {
		b.meter.at(time.Duration(float64(b.passed) / float64(b.second) * float64(time.Second)))
	}
	return len(p), nil
}

// cutter passes on the part of the sound that is wanted, and ends sound that is
// longer than is allowed, whatever the file says, and its timestamps.
type cutter struct {
	w      io.Writer
	skip   int64 // bytes to leave out first
	left   int64 // bytes to pass on; negative for all
	room   int64 // bytes that may still come; negative for any number
	passed int64
	full   bool // all is there that is wanted
	over   bool // more came than is allowed
}

// cutter makes the one of the plan, for samples of a rate.
func (p Plan) cutter(rate, channels int, w io.Writer) *cutter {
	at := func(t time.Duration) int64 {
		return (t.Round(time.Millisecond).Milliseconds()*int64(rate) + 500) / 1000 * int64(channels*sampleBytes)
	}
	start, end := p.part()
	c := &cutter{w: w, skip: at(start), left: -1, room: -1}
	if p.info.longest > 0 {
		c.room = at(p.info.longest)
	}
	if end > 0 {
		c.left = max(0, at(end)-c.skip)
	}
	return c
}

// errEnough ends the decoder, of which no more is wanted.
var errEnough = errors.New("enough has been decoded")

// Write implements io.Writer.
func (c *cutter) Write(p []byte) (int, error) {
	n := len(p)
	if c.room >= 0 {
		if c.room -= int64(n); c.room < 0 {
			c.over = true
			return 0, errEnough
		}
	}
	skipped := min(c.skip, int64(len(p)))
	c.skip -= skipped
	p = p[skipped:]
	if c.left >= 0 && int64(len(p)) >= c.left {
		p, c.full = p[:c.left], true
	}
	if len(p) > 0 {
		if _, err := c.w.Write(p); err != nil {
			c.full = false
			return 0, err
		}
	}
	c.passed += int64(len(p))
	if c.full {
		return 0, errEnough
	}
	if c.left >= 0 {
		c.left -= int64(len(p))
	}
	return n, nil
}
