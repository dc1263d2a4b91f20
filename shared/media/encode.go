package media

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/media/mp3"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// How long sound is shared out among encoders. LAME uses one CPU, and decoding
// takes a sixteenth of its time: so one ffmpeg decodes, and the samples go in
// runs of whole frames to one encoder after the other, in turn. Each encoder is
// one ffmpeg for the whole length and never notices that it jumps.
//
// An encoder's first frames after a jump still have in them what came before
// it, through the overlap of the transform, the psychoacoustic model and the
// bit reservoir. So each run begins some frames early, and goes on for some
// frames into the next: the early ones are dropped, and within the others a
// place is sought where the bit reservoir allows to change over.
const (
	shortestRun = 10 * time.Second // about
	longestRun  = 40 * time.Second
	early       = 8 // frames of a run before those that count
	overlap     = 8 // frames that two runs share, to change over in
	late        = 4 // frames after those, as an encoder looks ahead
)

// runOf is how long the runs of sound are, such that each of n encoders gets as
// many as the others. The longer they are, the less is encoded twice, and the
// more samples wait in memory.
func runOf(length time.Duration, n int) time.Duration {
	if length <= 0 { // unknown
		return longestRun
	}
	turns := (length + time.Duration(n)*longestRun - 1) / (time.Duration(n) * longestRun)
	return max(shortestRun, length/(turns*time.Duration(n)))
}

// sampleBytes is the size of a sample between decoder and encoder: 32-bit
// floating point, so that nothing is rounded that one ffmpeg would not.
const sampleBytes = 4

// lameDelay is how many samples LAME puts before the sound, as its header
// counts them.
const lameDelay = 576

// encoding is one conversion by several encoders.
type encoding struct {
	tools    Tools
	plan     Plan
	meter    *meter
	most     int // encoders
	rate     int // Hz
	channels int
	frame    int // samples of a frame
	run      int // frames of a run
}

func newEncoding(t Tools, p Plan, meter *meter) *encoding {
	e := &encoding{tools: t, plan: p, meter: meter, rate: p.rate(options.MP3), channels: p.channels(), frame: 1152}
	e.most = max(1, runtime.GOMAXPROCS(0)) // the CPUs that a cgroup leaves us
	if e.rate < 32000 {
		e.frame = 576
	}
	e.run = int(runOf(p.length(), e.most).Seconds() * float64(e.rate) / float64(e.frame))
	return e
}

// encoded is what came of it.
type encoded struct {
	Result
	headAt int64
	head   []byte
}

// encoder is one ffmpeg that encodes.
type encoder struct {
	feed   *feed
	pile   *pile
	frames *mp3.Scanner
	spare  int // frames at the end of its last run that are of no use
}

// piece is a run as it is handed from the splitter to the joiner.
type piece struct {
	encoder *encoder
	early   int // frames to drop first
}

// work is what the parts of an encoding share while it goes on.
type work struct {
	*encoding
	ctx      context.Context //nolint:containedctx // of the whole encoding
	end      context.CancelCauseFunc
	programs sync.WaitGroup
	encoders []*encoder
	pieces   chan piece    // in the order of the sound; closed behind the last
	ahead    chan struct{} // one for each run that is not yet joined
}

// convert decodes in and writes the MP3 to w, but for its header frame.
func (e *encoding) convert(ctx context.Context, in *Input, w io.Writer) (encoded, error) {
	ctx, end := context.WithCancelCause(ctx)
	k := &work{encoding: e, ctx: ctx, end: end, pieces: make(chan piece, 2*e.most+2), ahead: make(chan struct{}, 2*e.most+1)}
	s := &splitter{work: k, size: e.frame * e.channels * sampleBytes}
	var d *decoding
	var decoded error
	k.programs.Go(func() {
		d, decoded = e.tools.decode(ctx, in, e.plan, e.rate, e.channels, s.take)
		if decoded != nil {
			end(decoded)
		} else {
			s.finish()
		}
	})
	out := bufio.NewWriterSize(w, 128<<10)
	made, err := k.join(out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		end(err)
	}
	k.programs.Wait()
	end(nil)
	return e.settle(ctx, made, s, err, decoded, &d.log)
}

// settle finds out what came of it: what is wrong with the sound matters more
// than what that did to the encoders.
func (e *encoding) settle(ctx context.Context, made joined, s *splitter, err, decoded error, log *messages) (encoded, error) {
	if decoded != nil && !errors.Is(decoded, errStopped) {
		return encoded{}, decoded
	}
	if err != nil && s.samples() > 0 {
		if ours := (*fail.Error)(nil); errors.As(context.Cause(ctx), &ours) {
			return encoded{}, ours
		}
		return encoded{}, fail.Wrap(fail.Unavailable, err, "encode")
	}
	length := time.Duration(s.samples()) * time.Second / time.Duration(e.rate)
	if err := e.plan.judge(length, log); err != nil {
		return encoded{}, err
	}
	details := mp3.Details{Delay: lameDelay, Samples: s.samples(), Encoder: "LAME3.100", Quality: -1}
	if e.plan.opt.Quality != "" {
		details.VBR, details.Quality = true, e.plan.opt.Quality.Level()
	}
	head, err := made.stream.Head(details)
	if err != nil {
		return encoded{}, fail.Wrap(fail.Internal, err, "make the header of the MP3")
	}
	return encoded{
		Result: Result{
			Format: options.MP3, Codec: "mp3", Duration: length, SampleRate: e.rate, Channels: e.channels,
			Bytes: made.tag + int64(len(head)) + made.stream.Bytes,
		},
		headAt: made.tag, head: head,
	}, nil
}

// start starts one more encoder.
func (k *work) start() {
	// There is room for a run, so that no encoder waits while another is given its own.
	c := &encoder{feed: newFeed(k.ctx, (k.run+k.run/4+early+overlap+late)*k.frame*k.channels*sampleBytes), pile: newPile()}
	c.frames = mp3.NewScanner(c.pile)
	args := append(programArgs(), samplesArgs(k.rate, k.channels)...)
	args = append(args, k.tools.encoderArgs(k.plan, options.MP3)...)
	// At the highest bit rate next to nothing is left to save up, nor to raise; a
	// variable one need not save up.
	if k.plan.opt.Quality != "" || k.tools.mp3Bitrate(k.plan) == 320_000 {
		args = append(args, "-reservoir", "0")
	}
	// Frames may wait until ffmpeg has 32 KiB of them, but a whole run must not: the
	// joiner may need its end before the encoder gets another. The shortest run of
	// MPEG-1, at its least bit rate of 32 kbit/s, has 40 kB.
	flush := "0"
	if k.rate < 32000 {
		flush = "1"
	}
	args = append(args, "-id3v2_version", "0", "-write_xing", "0", "-flush_packets", flush, "-f", "mp3", "pipe:1")
	k.encoders = append(k.encoders, c)
	k.programs.Go(func() {
		var log messages
		err := c.feed.writeTo(func(stdin *os.File) error { return k.tools.run(k.ctx, k.tools.FFmpeg, args, stdin, c.pile, &log) })
		if err == nil {
			c.pile.close(io.EOF)
			return
		}
		err = fail.Wrap(fail.Unavailable, &ProgramError{Program: "ffmpeg", Messages: log.String(), Err: err}, "encode")
		c.pile.close(err)
		k.end(err)
	})
}

// id3 makes the tag of an MP3, which goes before the first frame; none where
// there is nothing to tell. ffmpeg writes it with the size last, which a pipe
// does not take: so it goes into a file, with next to no sound.
func (t Tools) id3(ctx context.Context, p Plan) ([]byte, error) {
	out, err := TempFile(t.WorkDir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	with, err := t.attach(p, options.MP3, 1)
	if err != nil {
		return nil, err
	}
	defer with.close()
	args := append(programArgs(), samplesArgs(8000, 1)...)
	args = append(append(args, with.args.inputs...), "-map", "0:a", "-c:a", "libmp3lame")
	args = append(append(args, with.args.outputs...), muxerArgs(options.MP3)...)
	var log messages
	silence := bytes.NewReader(make([]byte, 1152*sampleBytes))
	if err := t.run(ctx, t.FFmpeg, args, silence, nil, &log, append([]*os.File{nil, out}, with.files...)...); err != nil {
		return nil, ofEncoder(err, &log)
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "read the tag")
	}
	return mp3.NewScanner(out).Tag()
}
