// Package options is what a person may ask of a conversion: the form fields
// that come with an upload, checked, in the shape that a job keeps. It knows
// which values there are and which of them go together, not how sound is made.
package options

// Options is what was asked for. The zero value asks for nothing: one MP3 of
// the whole default track, as it is. Its JSON has the names of the form
// fields, leaves out what was not given, and is {} for the zero value.
type Options struct {
	Formats    []Format `json:"format,omitempty"`      // no format twice; empty means MP3
	Bitrate    int      `json:"bitrate,omitempty"`     // bit/s, MinBitrate to MaxBitrate; 0 = not given
	Quality    Quality  `json:"quality,omitempty"`     // "v0" to "v9"; "" = not given; never with Bitrate
	SampleRate int      `json:"sample_rate,omitempty"` // Hz, one that every format takes; 0 = the source's
	Channels   Channels `json:"channels,omitempty"`    // "" = the source's, at most two
	Start      Time     `json:"start,omitzero"`        // zero = from the beginning
	End        Time     `json:"end,omitzero"`          // after Start; zero = to the end
	Track      Track    `json:"track,omitempty"`       // "" = the default one
	Normalize  float64  `json:"normalize,omitempty"`   // LUFS, MinLoudness to MaxLoudness; 0 = not
	Title      string   `json:"title,omitempty"`       // this and the next five: "" = the source's
	Artist     string   `json:"artist,omitempty"`
	Album      string   `json:"album,omitempty"`
	Date       string   `json:"date,omitempty"`
	Genre      string   `json:"genre,omitempty"`
	Comment    string   `json:"comment,omitempty"`
	Cover      Cover    `json:"cover,omitempty"` // "" = an attached picture is carried over
}

// The ends of what numbers may be, themselves included.
const (
	MinBitrate  = 32_000  // bit/s
	MaxBitrate  = 320_000 // bit/s
	MinLoudness = -23.0   // LUFS
	MaxLoudness = -9.0    // LUFS
)

// Outputs returns the formats of the results, in the order asked for: at
// least one.
func (o Options) Outputs() []Format {
	if len(o.Formats) == 0 {
		return []Format{MP3}
	}
	return o.Formats
}

// Fields returns the form fields that Parse makes the same options of.
func (o Options) Fields() map[string]string {
	values := map[string]string{}
	for _, f := range known {
		if v := f.get(o); v != "" {
			values[f.name] = v
		}
	}
	return values
}

// Quality is a variable bit rate, from "v0", the best, to "v9", the smallest;
// "" where none is given.
type Quality string

// Level returns the number of the quality, 0 to 9; 0 also for what is none.
func (q Quality) Level() int {
	if !q.valid() {
		return 0
	}
	return int(q[1] - '0')
}

func (q Quality) valid() bool {
	return len(q) == 2 && q[0] == 'v' && '0' <= q[1] && q[1] <= '9'
}

// Channels is how many channels the results have; "" as many as the source
// has, but at most two.
type Channels string

// The channels that can be asked for.
const (
	Mono   Channels = "mono"
	Stereo Channels = "stereo"
)

// Count returns 1 for Mono, 2 for Stereo, else 0.
func (c Channels) Count() int {
	switch c {
	case Mono:
		return 1
	case Stereo:
		return 2
	}
	return 0
}
