package options

import "slices"

// Format is a kind of file that a conversion makes: its name is what the form
// takes, what a result says, and the extension of its files.
type Format string

// The formats, in the order in which they are offered.
const (
	MP3  Format = "mp3"
	M4A  Format = "m4a"  // AAC in MP4
	Opus Format = "opus" // in Ogg
	Ogg  Format = "ogg"  // Vorbis in Ogg
	FLAC Format = "flac"
	WAV  Format = "wav"
)

// Formats returns all formats.
func Formats() []Format { return []Format{MP3, M4A, Opus, Ogg, FLAC, WAV} }

// The sample rates, in Hz. Vorbis ends at 48 kHz: above, libvorbis has no bit
// rate that could be asked for. MP3 has the nine of MPEG 1, 2 and 2.5
// (ISO/IEC 11172-3, 13818-3), Opus those of RFC 6716, section 2.
var (
	opusRates = []int{8000, 12000, 16000, 24000, 48000}
	mp3Rates  = []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}
	highRates = append(slices.Clone(mp3Rates), 64000, 88200, 96000)
)

// Extension returns the extension of a file of the format, without a dot.
func (f Format) Extension() string { return string(f) }

// MediaType returns the media type of a file of the format, as Content-Type
// has it; application/octet-stream for a format that is not known here.
func (f Format) MediaType() string {
	switch f {
	case MP3:
		return "audio/mpeg"
	case M4A:
		return "audio/mp4"
	case Opus, Ogg:
		return "audio/ogg"
	case FLAC:
		return "audio/flac"
	case WAV:
		return "audio/wav"
	}
	return "application/octet-stream"
}

// TakesBitrate reports whether a bit rate means something for the format: not
// for one that loses nothing.
func (f Format) TakesBitrate() bool {
	switch f {
	case MP3, M4A, Opus, Ogg:
		return true
	case FLAC, WAV:
	}
	return false
}

// TakesQuality reports whether the format has the qualities v0 to v9.
func (f Format) TakesQuality() bool { return f == MP3 || f == Ogg }

// SampleRates returns the sample rates that the format takes, in Hz, the
// lowest first; none for a format that is not known here.
func (f Format) SampleRates() []int {
	switch f {
	case MP3, Ogg:
		return slices.Clone(mp3Rates)
	case Opus:
		return slices.Clone(opusRates)
	case M4A, FLAC, WAV:
		return slices.Clone(highRates)
	}
	return nil
}

// TakesSampleRate reports whether hz is one of SampleRates.
func (f Format) TakesSampleRate(hz int) bool { return slices.Contains(f.SampleRates(), hz) }
