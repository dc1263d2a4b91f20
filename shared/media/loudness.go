package media

import (
	"context"
	"math"
	"regexp"
	"strconv"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// level is how the sound is brought to the loudness that was asked for: one
// gain for all of it, and a limiter for the peaks that would then be too high.
type level struct {
	gain    float64 // in dB
	limited bool
}

// ceiling is the highest true peak of a result, in dBTP: 1 dB below what EBU
// R 128 allows, as a lossy codec does not keep peaks exactly.
const ceiling = -2.0

// measure finds out the gain: EBU R 128 loudness and true peak of the sound as
// the result will have it, in one pass of ffmpeg's ebur128. Silence is left
// as it is.
func (t Tools) measure(ctx context.Context, in *Input, p Plan) (level, error) {
	args := []string{"-loglevel", "level+info", "-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-"}
	var log messages
	if _, err := t.through(ctx, in, p, p.info.Audio.SampleRate, args, &log, nil); err != nil {
		return level{}, err
	}
	loudness, peak, err := readLevel(log.String())
	if err != nil {
		return level{}, err
	}
	if math.IsInf(peak, -1) || loudness <= silence {
		return level{}, nil
	}
	l := level{gain: p.opt.Normalize - loudness}
	l.limited = peak+l.gain > ceiling
	return l, nil
}

// silence is the gate of BS.1770 in LUFS: what has no more is not measured.
const silence = -70.0

var (
	loudnessLine = regexp.MustCompile(`\n\s*I:\s+(-?[0-9.]+|-?inf|nan) LUFS`)
	peakLine     = regexp.MustCompile(`\n\s*Peak:\s+(-?[0-9.]+|-?inf|nan) dBFS`)
)

// readLevel reads the summary at the end of what ffmpeg wrote: the last lines
// of their kind.
func readLevel(log string) (loudness, peak float64, err error) {
	for _, one := range []struct {
		line *regexp.Regexp
		to   *float64
	}{{loudnessLine, &loudness}, {peakLine, &peak}} {
		all := one.line.FindAllStringSubmatch(log, -1)
		if len(all) == 0 {
			return 0, 0, fail.New(fail.Unavailable, "The loudness could not be measured.")
		}
		*one.to = math.Inf(-1)
		if v, err := strconv.ParseFloat(all[len(all)-1][1], 64); err == nil && !math.IsNaN(v) {
			*one.to = v
		}
	}
	return loudness, peak, nil
}

// filters are those of ffmpeg that do it. The limiter sees four times as many
// samples, so that it finds the peaks between them too (BS.1770, annex 2).
func (l level) filters(rate int) []string {
	if l == (level{}) {
		return nil
	}
	all := []string{"volume=" + decibels(l.gain) + ":precision=float"}
	if l.limited {
		limit := strconv.FormatFloat(math.Pow(10, ceiling/20), 'f', 6, 64)
		all = append(all,
			"aresample="+strconv.Itoa(4*rate), "alimiter=limit="+limit+":attack=5:release=50:level=disabled:latency=1",
			"aresample="+strconv.Itoa(rate))
	}
	return all
}

func decibels(dB float64) string { return strconv.FormatFloat(dB, 'f', 2, 64) + "dB" }
