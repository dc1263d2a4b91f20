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
)

// Convert writes the sound that info chose of in to out as an MP3, with
// ffmpeg. out must be open for writing, seekable and of no further use to
// anybody meanwhile, such as one of TempFile; what it held is lost, and it is
// left at offset 0. progress, if not nil, is called from another goroutine
// with a per cent figure that grows, from 0 to 99: the caller knows when all
// is done. It must not block.
//
// Errors are as those of Probe. A file whose sound ends well before the file
// says that it does is ErrCutShort or ErrDamaged.
func (t Tools) Convert(ctx context.Context, in, out *os.File, info Info, opt Options, progress func(percent int)) (MP3, error) {
	if err := out.Truncate(0); err != nil {
		return MP3{}, fail.Wrap(fail.Unavailable, err, "empty the output")
	}
	var log messages
	meter := &meter{total: info.Duration, report: progress, last: -1}
	err := t.run(ctx, t.FFmpeg, convertArgs(info, opt), nil, meter, &log, in, out)
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
	if err == nil && made.Duration > 0 {
		if reason := verdict(info, made.Duration, &log); reason != nil {
			return MP3{}, because(reason, ended)
		}
		return made, nil
	}
	if log.has("Output file is empty") || made.Bytes > 0 && made.Duration == 0 {
		if info.unsure {
			return MP3{}, because(ErrNotMedia, ended)
		}
		return MP3{}, because(ErrDamaged, ended)
	}
	return MP3{}, fail.Wrap(fail.Internal, err, "read the MP3 that was made")
}

// faultsOfOutput are written by ffmpeg, which then may still end well.
var faultsOfOutput = []string{"No space left on device", "Disk quota exceeded", "File too large", "Error writing trailer"}

func convertArgs(info Info, opt Options) []string {
	a := info.Audio
	rate := sampleRateFor(a.SampleRate)
	if opt.Bitrate == 0 {
		opt.Bitrate = 192_000
	}
	args := []string{"-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning", "-progress", "pipe:1", "-stats_period", "0.5"}
	args = append(args, inputOptions()...)
	args = append(args, "-vn", "-sn", "-dn", // as input options they let the demuxer skip what is not wanted
		"-i", inputFile, "-map", "0:"+strconv.Itoa(a.Index), "-vn", "-sn", "-dn",
		"-map_metadata", "-1", "-map_chapters", "-1",
		"-c:a", "libmp3lame", "-b:a", strconv.Itoa(bitrateFor(opt.Bitrate, rate)))
	if rate != a.SampleRate {
		args = append(args, "-ar", strconv.Itoa(rate))
	}
	switch {
	case a.Channels > 8: // ffmpeg has no matrix for them
		args = append(args, "-af", evenOdd(a.Channels))
	case a.Channels > 2:
		args = append(args, "-ac", "2")
	}
	for _, t := range [][2]string{{"title", info.Tags.Title}, {"artist", info.Tags.Artist}, {"album", info.Tags.Album}, {"date", info.Tags.Date}} {
		if t[1] != "" {
			args = append(args, "-metadata", t[0]+"="+t[1])
		}
	}
	return append(args, "-id3v2_version", "4", "-write_xing", "1", "-f", "mp3", "-y", outputFile)
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

// verdict finds out whether the sound that was decoded is all there was.
// Many good files claim more than they have, so length alone condemns only
// where the claim is counted in samples.
func verdict(info Info, got time.Duration, log *messages) error {
	cut := info.oddly || log.has("File ended prematurely", "partial file", "filesize and duration do not match")
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
	total  time.Duration
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
	if m.report == nil || m.total <= 0 || done < 0 {
		return
	}
	if percent := int(min(99, 100*done/m.total)); percent > m.last {
		m.last = percent
		m.report(percent)
	}
}
