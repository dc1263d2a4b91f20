package media

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// Verify has ffprobe look at a result where it is stored, and compares what it
// finds with what was planned and made: container, codec, length to a frame,
// tags, chapters and cover. It returns the result as ffprobe sees it, which
// knows the length of what is no MP3 better than the encoder. A disagreement
// is fail.Unavailable: another attempt may do better.
func (t Tools) Verify(ctx context.Context, stored *Input, p Plan, made Result) (Result, error) {
	args := append([]string{"-hide_banner", "-loglevel", "level+warning"}, inputOptions(demuxerOf(made.Format))...)
	args = append(args, "-of", "json", "-show_entries", probedEntries, inputFile)
	sketch, done, err := t.sketch(stored)
	if err != nil {
		return Result{}, err
	}
	defer done()
	var log messages
	out := bounded{max: maxAnswer}
	err = outcome(ctx, "ffprobe", t.runOn(ctx, sketch, t.FFprobe, args, &out, &log), &log)
	if err != nil && !fail.Is(err, fail.Invalid) {
		return Result{}, err
	}
	var found probed
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &found)
	}
	if err == nil {
		made, err = p.compare(found, made)
	}
	if err != nil {
		return Result{}, fail.Wrap(fail.Unavailable, err, "check the %s", made.Format)
	}
	return made, nil
}

// compare holds what ffprobe has found against what should be there.
func (p Plan) compare(found probed, made Result) (Result, error) {
	info, err := found.info(kind{})
	if err != nil {
		return made, errors.New("it has no sound")
	}
	var wrong []string
	want := func(what string, got, want any) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s: %v, want %v", what, got, want))
		}
	}
	a := info.Audio
	want("codec", a.Codec, made.Codec)
	if made.Format != options.Opus { // which is always decoded to 48 kHz
		want("sample rate", a.SampleRate, made.SampleRate)
	}
	want("channels", a.Channels, made.Channels)
	for _, t := range info.Tags.named() {
		want("a tag too many: "+t[0], slices.ContainsFunc(p.tags.named(), func(o [2]string) bool { return o[0] == t[0] }), true)
	}
	for _, t := range p.tags.named() {
		want("tag "+t[0], slices.Contains(info.Tags.named(), t), true) // what it says is the owner's, and not for a log
	}
	if chaptered(made.Format) {
		want("chapters", len(info.Chapters), len(p.chapters))
	}
	if attachable(made.Format) || inComments(made.Format) {
		want("cover", info.picture != nil, p.cover != nil)
	}
	if off := info.claimed - made.Duration; made.Duration > 0 && (off < -frameOf(a) || off > frameOf(a)+unheard(made)) {
		wrong = append(wrong, fmt.Sprintf("length: %v, want %v", info.claimed, made.Duration))
	}
	if len(wrong) > 0 {
		return made, errors.New(strings.Join(wrong, "; "))
	}
	if made.Format != options.MP3 || made.Duration == 0 || p.copies(made.Format) {
		made.Duration = info.claimed
	}
	return made, nil
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

// frameOf is how long the longest frame of a codec is.
func frameOf(s Stream) time.Duration {
	samples := map[string]int{"mp3": 1152, "aac": 2048, "opus": 5760, "vorbis": 8192, "flac": 65535}[s.Codec]
	if samples == 0 {
		samples = 4096
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
