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
	args = append(args, "-of", "json", "-show_entries", probedEntries, inputFile)
	sketch, done, err := t.sketch(in)
	if err != nil {
		return Info{}, err
	}
	defer done()
	var log messages
	out := bounded{max: maxAnswer}
	err = outcome(ctx, "ffprobe", t.runOn(ctx, sketch, t.FFprobe, args, &out, &log), &log)
	if out.over && ctx.Err() == nil {
		return Info{}, because(ErrDamaged, errAnswer)
	}
	if err != nil {
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
		info.forgetLength() // it is that of the first fragment
	}
	info.oddly = end == endsOddly || log.has(signsOfLoss...) // a stream shows ffmpeg less of them
	info.longest = t.MaxDuration
	if err == nil && info.longest > 0 && info.Duration > info.longest {
		return Info{}, tooLong(info.longest)
	}
	return info, err
}

// probedEntries are what ffprobe is asked for: the fields of probed.
const probedEntries = "format=format_name,start_time,duration:format_tags:" +
	"stream=index,codec_type,codec_name,sample_rate,channels,start_time,duration,bit_rate,bits_per_raw_sample,bits_per_sample:" +
	"stream_disposition=default,attached_pic:stream_tags:chapter=start_time,end_time:chapter_tags=title"

// maxAnswer bounds what it may say, in bytes.
const maxAnswer = 4 << 20

var errAnswer = errors.New("the answer is too long")

// bounded is a buffer that takes no more than max bytes.
type bounded struct {
	bytes.Buffer
	max  int
	over bool // there was more
}

// Write fails past the bound, which ends the program by a broken pipe.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.max {
		b.over = true
		return 0, errAnswer
	}
	return b.Buffer.Write(p)
}

// probed is the JSON of ffprobe, as far as it is of use here.
type probed struct {
	Streams  []probedStream `json:"streams"`
	Chapters []struct {
		Start string            `json:"start_time"`
		End   string            `json:"end_time"`
		Tags  map[string]string `json:"tags"`
	} `json:"chapters"`
	Format struct {
		Name     string            `json:"format_name"`
		Start    string            `json:"start_time"`
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

type probedStream struct {
	Index       int               `json:"index"`
	Type        string            `json:"codec_type"`
	Codec       string            `json:"codec_name"`
	SampleRate  string            `json:"sample_rate"`
	Start       string            `json:"start_time"`
	Channels    int               `json:"channels"`
	Duration    string            `json:"duration"`
	Bitrate     string            `json:"bit_rate"`
	RawBits     string            `json:"bits_per_raw_sample"`
	Bits        int               `json:"bits_per_sample"`
	Disposition map[string]int    `json:"disposition"`
	Tags        map[string]string `json:"tags"`
}

func (p probed) info(k kind) (Info, error) {
	info := Info{
		Container: p.Format.Name, demuxer: k.demuxer, unsure: k.unsure,
		whole: seconds(p.Format.Duration), Tags: tagsOf(p.Format.Tags), Chapters: p.chapters(),
	}
	for _, s := range p.Streams {
		switch {
		case s.Type == "audio":
			info.Tracks = append(info.Tracks, s.track(p.Format.Start))
		case s.Type == "video" && s.Disposition["attached_pic"] == 1:
			if info.picture == nil {
				info.picture = &picture{stream: s.Index, codec: s.Codec}
			}
		case s.Type == "video":
			info.film = true
		}
	}
	if len(info.Tracks) == 0 {
		if len(p.Streams) == 0 {
			return Info{}, ErrNotMedia
		}
		return Info{}, ErrNoSound
	}
	info.use(max(0, slices.IndexFunc(info.Tracks, func(s Stream) bool { return s.standard })))
	return info, info.readable()
}

// track describes an audio stream of a file that begins at a time.
func (s probedStream) track(begin string) Stream {
	t := Stream{
		Index: s.Index, Codec: s.Codec, SampleRate: number(s.SampleRate), Channels: s.Channels, Bitrate: number(s.Bitrate),
		Bits: number(s.RawBits), Language: tag(s.Tags, "language"), Duration: seconds(s.Duration),
		standard: s.Disposition["default"] == 1, tags: s.Tags,
	}
	if s.Start != "" && begin != "" {
		t.lead = max(0, seconds(s.Start)-seconds(begin))
	}
	if t.Bits == 0 {
		t.Bits = s.Bits
	}
	if t.Duration == 0 {
		t.Duration = clock(tag(s.Tags, "duration"))
	}
	return t
}

// use makes one of the tracks the one to convert.
func (i *Info) use(track int) {
	i.Audio = i.Tracks[track]
	i.claimed = i.Audio.Duration
	if i.claimed == 0 || i.whole > 0 && i.claimed > i.whole {
		i.claimed = i.whole // tags may be older than the last cut
	}
	i.Duration = i.claimed
	if i.Container == "ogg" { // Ogg has no tags but those of its streams
		i.Tags = tagsOf(i.Audio.tags)
	}
}

// forgetLength makes the length of the file and of all tracks unknown.
func (i *Info) forgetLength() {
	i.whole, i.claimed, i.Duration, i.Audio.Duration = 0, 0, 0, 0
	for n := range i.Tracks {
		i.Tracks[n].Duration = 0
	}
}

// maxSampleRate is the highest that there is, in Hz: DSD512, of which ffmpeg
// counts bytes. From 1 GHz ffmpeg takes a quarter of a minute to make a filter.
const maxSampleRate = 3_072_000

// readable reports what keeps the chosen track from being decoded at all.
func (i *Info) readable() error {
	a := i.Audio
	switch known := a.SampleRate > 0 && a.SampleRate <= maxSampleRate && a.Channels > 0; {
	case !known && (a.Codec == "" || a.Codec == "unknown"):
		return ErrCodec
	case !known && i.unsure:
		return ErrNotMedia
	case !known:
		return ErrDamaged
	}
	return nil
}

const maxChapters = 1000

func (p probed) chapters() []Chapter {
	var all []Chapter
	for _, c := range p.Chapters {
		// The first begins at "0.000000", which seconds takes for nothing said: 0 as well.
		if one := (Chapter{Start: seconds(c.Start), End: seconds(c.End), Title: tag(c.Tags, "title")}); one.End > one.Start && len(all) < maxChapters {
			all = append(all, one)
		}
	}
	return all
}

func tagsOf(tags map[string]string) Tags {
	return Tags{
		Title: tag(tags, "title"), Artist: tag(tags, "artist", "author"),
		Album: tag(tags, "album"), Date: tag(tags, "date", "year", "date_released", "date_recorded"),
		Genre: tag(tags, "genre"), Comment: tag(tags, "comment"),
	}
}

// maxTag is the longest value that is carried over, in characters.
const maxTag = 1000

// tag returns the first of the tags that is there, in any case of letters,
// without control characters and cut to maxTag.
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
			if r := []rune(value); len(r) > maxTag {
				value = strings.TrimSpace(string(r[:maxTag]))
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
