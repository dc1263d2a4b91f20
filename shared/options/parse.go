package options

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// MaxValue is the most bytes that the value of a field may have, spaces round
// it included.
const MaxValue = 4096

// The most characters of the fields of text.
const (
	maxText    = 200
	maxComment = 1000
	maxDate    = 40
)

// Names returns the names of the form fields that are options, in the order
// in which they are told of.
func Names() []string {
	names := make([]string, 0, len(known))
	for _, f := range known {
		names = append(names, f.name)
	}
	return names
}

// Parse makes options of form fields. A field that is no option is ignored; a
// value without any but spaces is not given, and spaces round a value do not
// count. fail.Invalid, naming the field, what it takes and what it was, where a
// value is none that the field takes or does not go with the others.
func Parse(fields map[string]string) (Options, error) {
	o, err := parse(fields)
	if err == nil {
		err = o.conflict(true)
	}
	if err != nil {
		return Options{}, err
	}
	return o, nil
}

// Check fails as Parse does, for what is wrong with the fields whatever others
// are still to come: one that Parse takes together with more of them passes.
func Check(fields map[string]string) error {
	o, err := parse(fields)
	if err != nil {
		return err
	}
	return o.conflict(len(o.Formats) > 0)
}

// parse reads each field for itself.
func parse(fields map[string]string) (Options, error) {
	var o Options
	for _, f := range known {
		whole := fields[f.name]
		value := strings.TrimSpace(whole)
		if value == "" && len(whole) <= MaxValue {
			continue
		}
		if len(whole) > MaxValue || !utf8.ValidString(value) || !f.set(&o, value) {
			return o, fail.New(fail.Invalid, "The field %s takes %s; it was %s.", f.name, f.takes, shown(value))
		}
	}
	return o, nil
}

// conflict finds fields that do not go together; with formats, also those that
// the formats do not take.
func (o Options) conflict(formats bool) error {
	given := o.Fields()
	if o.Bitrate != 0 && o.Quality != "" {
		return fail.New(fail.Invalid, "The fields bitrate and quality exclude each other, and bitrate was %q and quality %q; give one of them.",
			given["bitrate"], given["quality"])
	}
	if o.End != 0 && o.End <= o.Start {
		return fail.New(fail.Invalid, "The field end takes a time after start, which was %q; it was %q.", given["start"], given["end"])
	}
	if !formats {
		return nil
	}
	if o.Bitrate != 0 && !slices.ContainsFunc(o.Outputs(), Format.TakesBitrate) {
		return o.idle("bitrate", Format.TakesBitrate)
	}
	if o.Quality != "" && !slices.ContainsFunc(o.Outputs(), Format.TakesQuality) {
		return o.idle("quality", Format.TakesQuality)
	}
	for _, f := range o.Outputs() {
		if o.SampleRate != 0 && !f.TakesSampleRate(o.SampleRate) {
			return fail.New(fail.Invalid, "The field sample_rate takes for %s %s; it was %q.", f, rates(f.SampleRates()), given["sample_rate"])
		}
	}
	return nil
}

// idle says that a field means something only for formats that none of those
// asked for is.
func (o Options) idle(field string, takes func(Format) bool) error {
	var some []Format
	for _, f := range Formats() {
		if takes(f) {
			some = append(some, f)
		}
	}
	return fail.New(fail.Invalid, "The field %s takes a value only with a format that has it, %s; it was %q with the format %s.",
		field, names(some, " or "), o.Fields()[field], names(o.Outputs(), " and "))
}

// field is an option of the form: what it takes, in words, and how its value
// gets into Options and out again. set is given no empty value.
type field struct {
	name, takes string
	set         func(o *Options, value string) bool
	get         func(o Options) string
}

var known = []field{
	{"format", "one or more of " + names(Formats(), " and ") + ", separated by commas, none twice",
		func(o *Options, v string) bool { return setFormats(&o.Formats, v) },
		func(o Options) string { return names(o.Formats, ",") }},
	{"bitrate", "32k to 320k (bit/s)",
		func(o *Options, v string) bool { return setBitrate(&o.Bitrate, v) },
		func(o Options) string { return bitrate(o.Bitrate) }},
	{"quality", "v0 (best) to v9 (smallest)",
		func(o *Options, v string) bool { o.Quality = Quality(v); return o.Quality.valid() },
		func(o Options) string { return string(o.Quality) }},
	{"sample_rate", rates(highRates) + " (Hz)",
		func(o *Options, v string) bool {
			return setWhole(&o.SampleRate, v) && slices.Contains(highRates, o.SampleRate)
		},
		func(o Options) string { return whole(o.SampleRate) }},
	{"channels", "mono or stereo",
		func(o *Options, v string) bool { o.Channels = Channels(v); return o.Channels.Count() > 0 },
		func(o Options) string { return string(o.Channels) }},
	{"start", timeTakes,
		func(o *Options, v string) bool { return setTime(&o.Start, v) },
		func(o Options) string { return point(o.Start) }},
	{"end", timeTakes + ", after start",
		func(o *Options, v string) bool { return setTime(&o.End, v) && o.End > 0 },
		func(o Options) string { return point(o.End) }},
	{"track", "0 to 99 (its place among the audio tracks) or a language such as en, eng or pt-BR",
		func(o *Options, v string) bool { return setTrack(&o.Track, v) },
		func(o Options) string { return string(o.Track) }},
	{"normalize", "-23 to -9 (LUFS), with at most two decimals",
		func(o *Options, v string) bool { return setLoudness(&o.Normalize, v) },
		func(o Options) string { return loudness(o.Normalize) }},
	text("title", maxText, func(o *Options) *string { return &o.Title }),
	text("artist", maxText, func(o *Options) *string { return &o.Artist }),
	text("album", maxText, func(o *Options) *string { return &o.Album }),
	text("date", maxDate, func(o *Options) *string { return &o.Date }),
	text("genre", maxText, func(o *Options) *string { return &o.Genre }),
	text("comment", maxComment, func(o *Options) *string { return &o.Comment }),
	{"cover", "none, or the time of a frame: " + timeTakes,
		func(o *Options, v string) bool { return setCover(&o.Cover, v) },
		func(o Options) string { return string(o.Cover) }},
}

// text is a field of at most so many characters, none of which controls
// anything or ends a line.
func text(name string, most int, of func(*Options) *string) field {
	return field{name, fmt.Sprintf("at most %d characters of UTF-8 in one line, without control characters", most),
		func(o *Options, v string) bool {
			*of(o) = v
			return utf8.RuneCountInString(v) <= most && !strings.ContainsFunc(v, func(r rune) bool {
				return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
			})
		},
		func(o Options) string { return *of(&o) }}
}

// shown is a value as a message has it: quoted, and not too much of it.
func shown(value string) string {
	const most = 40
	n := 0
	for i := range value {
		if n++; n > most {
			return strconv.Quote(value[:i]) + "…"
		}
	}
	return strconv.Quote(value)
}

func names(formats []Format, between string) string {
	all := make([]string, 0, len(formats))
	for _, f := range formats {
		all = append(all, string(f))
	}
	return enumerate(all, between)
}

func rates(hz []int) string {
	all := make([]string, 0, len(hz))
	for _, r := range hz {
		all = append(all, strconv.Itoa(r))
	}
	return enumerate(all, " or ")
}

// enumerate joins with commas, and the last with what is given.
func enumerate(all []string, last string) string {
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	between := ", "
	if last == "," {
		between = ","
	}
	return strings.Join(all[:len(all)-1], between) + last + all[len(all)-1]
}
