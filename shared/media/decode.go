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

// decode hands over the wanted part of the sound, as samples of 32-bit floating
// point. They are counted here and not by ffmpeg, whose filters begin anew where
// the channels of a source change, and whose timestamps are the file's.
func (t Tools) decode(ctx context.Context, in *Input, p Plan, rate, channels int, take func(chunk) error) (*decoding, error) {
	d := &decoding{}
	c := p.cutter(rate, channels, take)
	args := append(append(programArgs(), p.decodeArgs(rate, channels)...), "-c:a", "pcm_f32le", "-flush_packets", "0", "-f", "f32le", "pipe:1")
	err := c.readFrom(ctx, func(stdout *os.File) error { return t.runOn(ctx, in, t.FFmpeg, args, stdout, &d.log) })
	err = outcome(ctx, "ffmpeg", err, &d.log)
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
	ahead := newFeed(ctx, bytesAhead)
	args = append(append([]string{"-hide_banner", "-nostdin", "-nostats"}, samplesArgs(rate, channels)...), args...)
	second := make(chan error, 1)
	go func() {
		err := ahead.writeTo(func(stdin *os.File) error { return t.run(ctx, t.FFmpeg, args, stdin, nil, log, files...) })
		if err != nil {
			err = ofEncoder(err, log)
			end(err)
		}
		second <- err
	}()
	passed, perSecond := 0, float64(rate*channels*sampleBytes)
	d, err := t.decode(ctx, in, p, rate, channels, func(c chunk) error {
		passed += len(c.bytes)
		if meter != nil {
			meter.at(time.Duration(float64(passed) / perSecond * float64(time.Second)))
		}
		return ahead.put(c)
	})
	if err == nil {
		ahead.close()
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

// bytesAhead is how much may wait for the second program.
const bytesAhead = 4 * blockBytes

// cutter passes on the part of the sound that is wanted, and ends sound that is
// longer than is allowed, whatever the file says, and its timestamps.
type cutter struct {
	take   func(chunk) error
	skip   int64 // bytes to leave out first
	left   int64 // bytes to pass on; negative for all
	room   int64 // bytes that may still come; negative for any number
	passed int64
	full   bool // all is there that is wanted
	over   bool // more came than is allowed
}

// cutter makes the one of the plan, for samples of a rate.
func (p Plan) cutter(rate, channels int, take func(chunk) error) *cutter {
	at := func(t time.Duration) int64 {
		return (t.Round(time.Millisecond).Milliseconds()*int64(rate) + 500) / 1000 * int64(channels*sampleBytes)
	}
	start, end := p.part()
	c := &cutter{take: take, skip: at(start), left: -1, room: -1}
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

// readFrom takes what a program writes to its stdout. The error is the
// program's, or else the taker's.
func (c *cutter) readFrom(ctx context.Context, run func(stdout *os.File) error) error {
	r, w, err := widePipe(reading)
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "make a pipe")
	}
	defer context.AfterFunc(ctx, func() { _ = r.SetDeadline(time.Now()) })()
	taken := make(chan error, 1)
	go func() {
		taken <- c.takeAll(r)
		_ = r.Close() // the program need not write any more
	}()
	err = run(w)
	_ = w.Close()
	if fault := <-taken; err == nil {
		err = fault
	}
	return err
}

// takeAll reads to the end.
func (c *cutter) takeAll(r io.Reader) error {
	for {
		s, err := readChunk(r)
		if err := c.cut(s); err != nil {
			return err
		}
		s.drop()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// cut hands on what is wanted of them.
func (c *cutter) cut(s chunk) error {
	if c.room >= 0 {
		if c.room -= int64(len(s.bytes)); c.room < 0 {
			c.over = true
			return errEnough
		}
	}
	skipped := min(c.skip, int64(len(s.bytes)))
	c.skip -= skipped
	s = s.from(int(skipped))
	if c.left >= 0 && int64(len(s.bytes)) >= c.left {
		s, c.full = s.to(int(c.left)), true
	}
	if len(s.bytes) > 0 {
		if err := c.take(s); err != nil {
			c.full = false
			return err
		}
	}
	c.passed += int64(len(s.bytes))
	if c.full {
		return errEnough
	}
	if c.left >= 0 {
		c.left -= int64(len(s.bytes))
	}
	return nil
}
