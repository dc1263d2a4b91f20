package media

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/media/mp3"
)

// encodeFile writes the sound that info chose of in to out as an MP3, with one
// ffmpeg. out is left at offset 0.
func (t Tools) encodeFile(ctx context.Context, in *Input, out *os.File, info Info, opt Options, meter *meter) (MP3, error) {
	var log messages
	err := t.runOn(ctx, in, t.FFmpeg, convertArgs(info, opt), nil, meter, &log, out)
	if err := outcome(ctx, "ffmpeg", err, &log); err != nil {
		return MP3{}, err
	}
	if _, err := out.Seek(0, 0); err != nil {
		return MP3{}, fail.Wrap(fail.Unavailable, err, "rewind the output")
	}
	ended := &ProgramError{Program: "ffmpeg", Messages: log.String(), Err: fmt.Errorf("ended without an error, %d reported", log.errors)}
	if log.has(faultsOfOutput...) {
		return MP3{}, fail.Wrap(fail.Unavailable, ended, "write the MP3")
	}
	made, err := readMP3(out)
	if err != nil && !log.has("Output file is empty") {
		return MP3{}, fail.Wrap(fail.Internal, err, "read the MP3 that was made")
	}
	return made, judgement(info, made.Duration, &log, ended)
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

// readMP3 reads what a finished MP3 says of itself.
func readMP3(f *os.File) (MP3, error) {
	st, err := f.Stat()
	if err != nil {
		return MP3{}, err
	}
	i, err := mp3.ReadInfo(f)
	if err != nil {
		return MP3{}, err
	}
	return MP3{Duration: i.Duration(), SampleRate: i.SampleRate, Channels: i.Channels, Bytes: st.Size()}, nil
}

// faultsOfOutput are written by ffmpeg, which then may still end well.
var faultsOfOutput = []string{"No space left on device", "Disk quota exceeded", "File too large", "Error writing trailer"}

func convertArgs(info Info, opt Options) []string {
	args := append(programArgs(), "-progress", "pipe:1", "-stats_period", "0.5")
	args = append(args, soundArgs(info)...)
	args = append(args, encoderArgs(info, opt)...)
	args = append(args, tagArgs(info.Tags)...)
	return append(args, "-write_xing", "1", "-f", "mp3", "-y", outputFile)
}

func programArgs() []string {
	return []string{"-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning"}
}

// soundArgs make ffmpeg decode the chosen stream, at a rate and with channels
// that MP3 has.
func soundArgs(info Info) []string {
	a := info.Audio
	args := append(inputOptions(info.demuxer), "-vn", "-sn", "-dn", // as input options they let the demuxer skip what is not wanted
		"-i", inputFile, "-map", "0:"+strconv.Itoa(a.Index), "-vn", "-sn", "-dn",
		"-map_metadata", "-1", "-map_chapters", "-1",
		"-ar", strconv.Itoa(sampleRateFor(a.SampleRate)), "-ac", strconv.Itoa(channelsFor(a.Channels)))
	if info.longest > 0 { // how long it is in truth is counted, see judgement and splitter
		args = append(args, "-t", strconv.Itoa(2*int(info.longest/time.Second)+2))
	}
	if a.Channels > 8 { // ffmpeg has no matrix for them
		args = append(args, "-af", evenOdd(a.Channels))
	}
	return args
}

func channelsFor(channels int) int { return min(channels, 2) }

func encoderArgs(info Info, opt Options) []string {
	return []string{"-c:a", "libmp3lame", "-b:a", strconv.Itoa(bitrateFor(opt.Bitrate, sampleRateFor(info.Audio.SampleRate)))}
}

func tagArgs(t Tags) []string {
	var args []string
	for _, t := range [][2]string{{"title", t.Title}, {"artist", t.Artist}, {"album", t.Album}, {"date", t.Date}} {
		if t[1] != "" {
			args = append(args, "-metadata", t[0]+"="+t[1])
		}
	}
	return append(args, "-id3v2_version", "4")
}

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
