package media

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Probe reads what a file is, with ffprobe. It chooses the first audio stream
// that is marked as default, else the first. A file that cannot be converted
// is one of the Err values of this package (fail.Invalid), and ffprobe sees
// none that is of no kind that is taken; a fault of the
// machine, or of where in comes from, is fail.Unavailable; an ended ctx gives
// its cause. Of an Input that is streamed it reads the head, and the tail
// where that tells something.
func (t Tools) Probe(ctx context.Context, in *Input) (Info, error) {
	kind, err := in.sniffed()
	if err != nil {
		return Info{}, err
	}
	args := append([]string{"-hide_banner", "-loglevel", "level+warning"}, inputOptions(kind.demuxer)...)
	args = append(args, "-of", "json", "-show_entries",
		"format=format_name,duration:format_tags:"+
			"stream=index,codec_type,codec_name,sample_rate,channels,duration,bit_rate:"+
			"stream_disposition=default:stream_tags", inputFile)
	sketch, done, err := t.sketch(in)
	if err != nil {
		return Info{}, err
	}
	defer done()
	var log messages
	out := bounded{max: 4 << 20}
	if err := outcome(ctx, "ffprobe", t.runOn(ctx, sketch, t.FFprobe, args, nil, &out, &log), &log); err != nil {
		return Info{}, err
	}
	var found probed
	if err := json.Unmarshal(out.Bytes(), &found); err != nil {
		return Info{}, fail.Wrap(fail.Internal, err, "read the answer of ffprobe")
	}
	end, err := endOf(in, found.Format.Name)
	if err != nil {
		return Info{}, fail.Wrap(fail.Unavailable, err, "read the structure of the file")
	}
	if end == endsBroken { // first, as what is missing may be the sound
		return Info{}, ErrCutShort
	}
	info, err := found.info(kind)
	if in.Streamed() && in.movie != nil && in.movie.Fragmented() {
		info.Duration, info.claimed = 0, 0 // of the first fragment
	}
	info.oddly = end == endsOddly || log.has(signsOfLoss...) // a stream shows ffmpeg less of them
	info.longest = t.MaxDuration
	if err == nil && info.longest > 0 && info.Duration > info.longest {
		return Info{}, tooLong(info.longest)
	}
	return info, err
}

// bounded is a buffer that takes no more than max bytes.
type bounded struct {
	bytes.Buffer
	max int
}

// Write fails past the bound, which ends the program by a broken pipe.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.max {
		return 0, errors.New("the answer is too long")
	}
	return b.Buffer.Write(p)
}

// probed is the JSON of ffprobe, as far as it is of use here.
type probed struct {
	Streams []probedStream `json:"streams"`
	Format  struct {
		Name     string            `json:"format_name"`
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

type probedStream struct {
	Index       int               `json:"index"`
	Type        string            `json:"codec_type"`
	Codec       string            `json:"codec_name"`
	SampleRate  string            `json:"sample_rate"`
	Channels    int               `json:"channels"`
	Duration    string            `json:"duration"`
	Bitrate     string            `json:"bit_rate"`
	Disposition map[string]int    `json:"disposition"`
	Tags        map[string]string `json:"tags"`
}

func (p probed) info(k kind) (Info, error) {
	audio := slices.DeleteFunc(slices.Clone(p.Streams), func(s probedStream) bool { return s.Type != "audio" })
	if len(audio) == 0 {
		if len(p.Streams) == 0 {
			return Info{}, ErrNotMedia
		}
		return Info{}, ErrNoSound
	}
	s := audio[max(0, slices.IndexFunc(audio, func(s probedStream) bool { return s.Disposition["default"] == 1 }))]
	info := Info{
		Container: p.Format.Name,
		Audio: Stream{
			Index: s.Index, Codec: s.Codec, SampleRate: number(s.SampleRate),
			Channels: s.Channels, Bitrate: number(s.Bitrate),
		},
		demuxer: k.demuxer, unsure: k.unsure,
	}
	info.claimed = seconds(s.Duration)
	if info.claimed == 0 {
		info.claimed = clock(tag(s.Tags, "duration"))
	}
	whole := seconds(p.Format.Duration)
	if info.claimed == 0 || whole > 0 && info.claimed > whole {
		info.claimed = whole // tags may be older than the last cut
	}
	info.Duration = info.claimed
	tags := p.Format.Tags
	if p.Format.Name == "ogg" { // Ogg has no tags but those of its streams
		tags = s.Tags
	}
	info.Tags = Tags{
		Title: tag(tags, "title"), Artist: tag(tags, "artist", "author"),
		Album: tag(tags, "album"), Date: tag(tags, "date", "year", "date_released", "date_recorded"),
	}
	switch {
	case (info.Audio.SampleRate <= 0 || info.Audio.Channels <= 0) && (s.Codec == "" || s.Codec == "unknown"):
		return Info{}, ErrCodec
	case (info.Audio.SampleRate <= 0 || info.Audio.Channels <= 0) && info.unsure:
		return Info{}, ErrNotMedia
	case info.Audio.SampleRate <= 0 || info.Audio.Channels <= 0:
		return Info{}, ErrDamaged
	}
	return info, nil
}

// tag returns the first of the tags that is there, in any case of letters,
// without control characters and cut to 500 characters.
func tag(tags map[string]string, names ...string) string {
	for _, name := range names {
		for key, value := range tags {
			if !strings.EqualFold(key, name) {
				continue
			}
			value = strings.TrimSpace(strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return ' '
				}
				return r
			}, strings.ToValidUTF8(value, "\uFFFD")))
			if r := []rune(value); len(r) > 500 {
				value = string(r[:500])
			}
			if value != "" {
				return value
			}
		}
	}
	return ""
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// seconds reads "12.345"; zero for anything else, and for what is longer than
// a year.
func seconds(s string) time.Duration {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f > 0) || f > 366*24*3600 {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}

// clock reads "01:02:03.456"; zero for anything else.
func clock(s string) time.Duration {
	part := strings.Split(s, ":")
	if len(part) != 3 {
		return 0
	}
	return time.Duration(number(part[0]))*time.Hour + time.Duration(number(part[1]))*time.Minute + seconds(part[2])
}
