package media

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// Verify has ffprobe look at a result where it is stored, and compares what it
// finds with what was planned and made. It returns the result as ffprobe sees
// it, which knows the length of a copy. Another codec, rate or number of
// channels, less sound than was made, or what cannot be read is
// fail.Unavailable: another attempt may do better. What another attempt would
// do again, such as a tag that the format changes, is returned in words for a
// log, without what the owner wrote.
func (t Tools) Verify(ctx context.Context, stored *Input, p Plan, made Result) (Result, []string, error) {
	args := append([]string{"-hide_banner", "-loglevel", "level+warning"}, inputOptions(demuxerOf(made.Format))...)
	args = append(args, "-of", "json", "-show_entries", probedEntries, inputFile)
	sketch, done, err := t.sketch(stored)
	if err != nil {
		return made, nil, err
	}
	defer done()
	var log messages
	out := bounded{max: maxAnswer}
	err = outcome(ctx, "ffprobe", t.runOn(ctx, sketch, t.FFprobe, args, &out, &log), &log)
	if err != nil && !fail.Is(err, fail.Invalid) {
		return made, nil, err
	}
	var found probed
	var info Info
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &found)
	}
	if err == nil {
		info, err = found.info(kind{})
	}
	if err == nil {
		err = p.wrong(info, made)
	}
	if err != nil {
		return made, nil, fail.Wrap(fail.Unavailable, err, "check the %s", made.Format)
	}
	if p.copies(made.Format) {
		made.Duration = info.claimed
	}
	return made, p.odd(info, made), nil
}

// wrong compares the sound.
func (p Plan) wrong(info Info, made Result) error {
	a := info.Audio
	switch {
	case a.Codec != made.Codec:
		return fmt.Errorf("the codec is %s, want %s", a.Codec, made.Codec)
	case a.SampleRate != made.SampleRate && made.Format != options.Opus: // which is always decoded to 48 kHz
		return fmt.Errorf("the sample rate is %d, want %d", a.SampleRate, made.SampleRate)
	case a.Channels != made.Channels:
		return fmt.Errorf("it has %d channels, want %d", a.Channels, made.Channels)
	case !p.copies(made.Format) && info.claimed < made.Duration-frameOf(a):
		return fmt.Errorf("it lasts %v, want %v", info.claimed, made.Duration)
	}
	return nil
}

// odd compares what goes with the sound, and whether there is more of that.
func (p Plan) odd(info Info, made Result) (odd []string) {
	planned, found := p.tags.named(), info.Tags.named()
	for _, t := range planned {
		if !slices.Contains(found, t) {
			odd = append(odd, "another "+t[0])
		}
	}
	if len(found) > len(planned) {
		odd = append(odd, "tags too many")
	}
	if n := len(info.Chapters); chaptered(made.Format) && n != len(p.chapters) {
		odd = append(odd, fmt.Sprintf("%d chapters of %d", n, len(p.chapters)))
	}
	if (attachable(made.Format) || inComments(made.Format)) && (info.picture != nil) != (p.cover != nil) {
		odd = append(odd, "no cover, or one too many")
	}
	if !p.copies(made.Format) && info.claimed > made.Duration+frameOf(info.Audio)+unheard(made) {
		odd = append(odd, fmt.Sprintf("lasts %v, want %v", info.claimed, made.Duration))
	}
	return odd
}

// demuxerOf is what ffmpeg reads a format with.
func demuxerOf(f options.Format) string {
	switch f { //nolint:exhaustive // the others have one name for both
	case options.M4A:
		return movie.demuxer
	case options.Opus, options.Ogg:
		return "ogg"
	}
	return muxers[f]
}

// chaptered reports whether the format has chapters.
func chaptered(f options.Format) bool { return f != options.WAV }

// frameOf is how long a frame of a codec is, as ffprobe may count one more or
// less: 2048 samples of HE-AAC, 20 ms and the delay of Opus.
func frameOf(s Stream) time.Duration {
	samples := map[string]int{"aac": 2048, "opus": 1920}[s.Codec]
	if samples == 0 {
		samples = 1152
	}
	return time.Duration(samples) * time.Second / time.Duration(s.SampleRate)
}

// unheard is what ffprobe counts beyond the sound: the delay and the padding
// of an MP3, which players leave out.
func unheard(made Result) time.Duration {
	if made.Format != options.MP3 {
		return 0
	}
	return 2 * 1152 * time.Second / time.Duration(made.SampleRate)
}
