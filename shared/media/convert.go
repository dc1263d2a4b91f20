package media

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/media/mp3"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// encodeFile writes the planned result to out, with one ffmpeg: encoded, or
// copied as it is. out is left at offset 0.
func (t Tools) encodeFile(ctx context.Context, in *Input, out *os.File, p Plan, f options.Format, meter *meter) (Result, error) {
	with, err := t.attach(p, f, 1)
	if err != nil {
		return Result{}, err
	}
	defer with.close()
	var log messages
	files := append([]*os.File{out}, with.files...)
	err = t.runOn(ctx, in, t.FFmpeg, t.convertArgs(p, f, with), meter, &log, files...)
	if err := outcome(ctx, "ffmpeg", err, &log); err != nil {
		return Result{}, err
	}
	made, err := p.written(out, f, meter.done, &log)
	if err != nil {
		return Result{}, err
	}
	if p.copies(f) {
		made.SampleRate, made.Channels = p.info.Audio.SampleRate, p.info.Audio.Channels
	}
	if f == options.MP3 {
		if err := made.readHead(out, p); err != nil && !log.has("Output file is empty") {
			return Result{}, fail.Wrap(fail.Internal, err, "read the MP3 that was made")
		}
	}
	return made, p.judge(made.Duration, &log)
}

// encodeDecoded writes the planned result to out, with one ffmpeg that decodes
// and one that encodes. out is left at offset 0.
func (t Tools) encodeDecoded(ctx context.Context, in *Input, out *os.File, p Plan, f options.Format, meter *meter) (Result, error) {
	with, err := t.attach(p, f, 1)
	if err != nil {
		return Result{}, err
	}
	defer with.close()
	args := append([]string{"-loglevel", "level+warning"}, with.args.inputs...)
	args = append(append(args, "-map", "0:a"), t.encoderArgs(p, f)...)
	args = append(append(args, with.args.outputs...), muxerArgs(f)...)
	var log messages
	d, err := t.through(ctx, in, p, p.rate(f), args, &log, meter, append([]*os.File{nil, out}, with.files...)...)
	if err != nil {
		return Result{}, err
	}
	made, err := p.written(out, f, d.length(p.rate(f)), &log)
	if err != nil {
		return Result{}, err
	}
	return made, p.judge(made.Duration, &d.log)
}

// written describes what is in out, of which ffmpeg may have failed to write
// something and still ended well.
func (p Plan) written(out *os.File, f options.Format, length time.Duration, log *messages) (Result, error) {
	if log.has(faultsOfOutput...) {
		return Result{}, fail.Wrap(fail.Unavailable, &ProgramError{Program: "ffmpeg", Messages: log.String(), Err: errEndedWell}, "write the audio")
	}
	st, err := out.Stat()
	if err == nil {
		_, err = out.Seek(0, io.SeekStart)
	}
	if err != nil {
		return Result{}, fail.Wrap(fail.Unavailable, err, "look at the audio")
	}
	return Result{Format: f, Codec: p.codec(f), Duration: length, SampleRate: p.rate(f), Channels: p.channels(), Bytes: st.Size()}, nil
}

// errEndedWell is how a program ended whose messages say otherwise.
var errEndedWell = errors.New("ended without an error")

// readHead takes the length from the header of an MP3, which counts frames. Of
// a copy, timestamps tell something else only where they are nonsense.
func (r *Result) readHead(out *os.File, p Plan) error {
	info, err := mp3.ReadInfo(out)
	if !p.copies(options.MP3) {
		r.Duration = info.Duration()
		return err
	}
	if errors.Is(err, mp3.ErrNoHead) {
		return nil
	}
	if err != nil {
		return err
	}
	r.Duration = max(r.Duration, info.Duration())
	if p.info.Container == "mp3" {
		return nil
	}
	// No other container tells ffmpeg the delay of the encoder: what it wrote is wrong.
	return mp3.ForgetDelay(out)
}

// judgement finds out whether sound that was decoded without an error is worth
// anything; because of what, for the operator.
func judgement(info Info, got time.Duration, log *messages, ended error) error {
	reason := verdict(info, got, log)
	switch {
	case info.longest > 0 && got > info.longest:
		reason = tooLong(info.longest)
	case got == 0 && info.unsure:
		reason = ErrNotMedia
	case got == 0:
		reason = ErrDamaged
	case reason == nil:
		return nil
	}
	return because(reason, ended)
}

// faultsOfOutput are written by ffmpeg, which then may still end well.
var faultsOfOutput = []string{"No space left on device", "Disk quota exceeded", "File too large", "Error writing trailer"}

// convertArgs make ffmpeg write a result to a file.
func (t Tools) convertArgs(p Plan, f options.Format, with *attachments) []string {
	args := append(programArgs(), "-progress", "pipe:1", "-stats_period", "0.5")
	args = append(args, p.info.inputArgs()...)
	args = append(args, with.args.inputs...)
	if p.copies(f) {
		args = append(args, "-map", p.track(), "-c:a", "copy")
	} else {
		args = append(args, p.soundArgs(p.rate(f), p.channels())...)
		args = append(args, t.encoderArgs(p, f)...)
	}
	args = append(args, with.args.outputs...)
	return append(args, muxerArgs(f)...)
}

func programArgs() []string {
	return []string{"-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning"}
}

// inputArgs make ffmpeg read the sound of the input. As input options, those
// against the rest let the demuxer skip it.
func (i Info) inputArgs() []string {
	return append(append(inputOptions(i.demuxer), "-vn", "-sn", "-dn"), pipeArgs(inputFile)...)
}

// track is the chosen one, for -map.
func (p Plan) track() string { return "0:" + strconv.Itoa(p.info.Audio.Index) }

// decodeArgs make ffmpeg decode the sound as the result will have it, and
// nothing else.
func (p Plan) decodeArgs(rate, channels int) []string {
	args := append(p.info.inputArgs(), p.soundArgs(rate, channels)...)
	return append(args, "-map_metadata", "-1", "-map_chapters", "-1")
}

// soundArgs make ffmpeg decode the chosen track, at a rate and with channels
// that the format has.
func (p Plan) soundArgs(rate, channels int) []string {
	a := p.info.Audio
	args := []string{"-map", p.track(), "-ar", strconv.Itoa(rate), "-ac", strconv.Itoa(channels)}
	var filters []string
	if longest := p.info.longest; longest > 0 { // how long it is in truth is counted, see judgement and cutter
		args = append(args, "-t", strconv.Itoa(2*int(longest/time.Second)+2))
	}
	if a.Channels > 8 { // ffmpeg has no matrix for them
		filters = append(filters, evenOdd(a.Channels))
	}
	if p.opt.Normalize != 0 {
		filters = append(filters, "aformat=sample_rates="+strconv.Itoa(rate)+":channel_layouts="+layouts[channels])
		filters = append(filters, p.level.filters(rate)...)
	}
	if len(filters) > 0 {
		args = append(args, "-af", strings.Join(filters, ","))
	}
	return args
}

var layouts = map[int]string{1: "mono", 2: "stereo"}

// evenOdd makes a filter that mixes even channels to the left and odd ones to the right, at equal
// parts ("<" makes the gains add up to 1).
func evenOdd(channels int) string {
	side := [2][]string{}
	for c := range channels {
		side[c%2] = append(side[c%2], "c"+strconv.Itoa(c))
	}
	return "pan=stereo|c0<" + strings.Join(side[0], "+") + "|c1<" + strings.Join(side[1], "+")
}

// signsOfLoss are written about files whose end is missing.
var signsOfLoss = []string{"File ended prematurely", "partial file", "filesize and duration do not match"}

// verdict finds out whether the sound that was decoded is all there was.
// Many good files claim more than they have, so length alone condemns only
// where the claim is counted in samples.
func verdict(info Info, got time.Duration, log *messages) error {
	cut := info.oddly || log.has(signsOfLoss...)
	missing := info.claimed - got
	short := missing > time.Second && missing > info.claimed/50
	switch {
	case info.unsure && log.errors > 0:
		return ErrNotMedia
	case short && cut, short && (info.Container == "flac" || info.Container == "aiff"):
		return ErrCutShort
	case info.claimed > 0 && got < info.claimed/2 && log.errors > 0:
		return ErrDamaged
	}
	return nil
}

// meter reads what ffmpeg writes for -progress, lines of key=value, and
// reports the per cent done.
type meter struct {
	total  time.Duration  // zero where it is not known
	done   time.Duration  // so far
	share  func() float64 // of the input that was read; for then
	report func(int)
	last   int
	rest   []byte
}

// Write never fails.
func (m *meter) Write(p []byte) (int, error) {
	m.rest = append(m.rest, p...)
	for {
		line, rest, ok := bytes.Cut(m.rest, []byte("\n"))
		if !ok {
			break
		}
		m.rest = rest
		if us, ok := bytes.CutPrefix(line, []byte("out_time_us=")); ok {
			m.at(time.Duration(number(string(us))) * time.Microsecond)
		}
	}
	if len(m.rest) > 4096 { // not what ffmpeg writes
		m.rest = nil
	}
	return len(p), nil
}

func (m *meter) at(done time.Duration) {
	m.done = max(m.done, done)
	if m.report == nil || done < 0 {
		return
	}
	var percent int
	if m.total > 0 {
		percent = int(min(99, 100*done/m.total))
	} else {
		percent = int(min(99, 100*m.share()))
	}
	if percent > m.last {
		m.last = percent
		m.report(percent)
	}
}
