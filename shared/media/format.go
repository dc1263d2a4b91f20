package media

import (
	"strconv"
	"strings"

	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// muxers are what ffmpeg writes the formats with.
var muxers = map[options.Format]string{
	options.MP3: "mp3", options.M4A: "ipod", options.Opus: "opus", options.Ogg: "ogg", options.FLAC: "flac", options.WAV: "wav",
}

// codecs are what ffprobe names the codec of each format; that of a WAV
// depends on the bits of a sample.
var codecs = map[options.Format]string{
	options.MP3: "mp3", options.M4A: "aac", options.Opus: "opus", options.Ogg: "vorbis", options.FLAC: "flac",
}

// codec returns what the result in a format will be encoded with.
func (p Plan) codec(f options.Format) string {
	switch {
	case f != options.WAV:
		return codecs[f]
	case p.copies(f):
		return p.info.Audio.Codec
	case p.deep():
		return "pcm_s24le"
	}
	return "pcm_s16le"
}

// copies reports whether the result needs no encoding: the sound is in the
// codec of the format already, and nothing is asked for that would change it.
func (p Plan) copies(f options.Format) bool {
	o := p.opt
	if o.Bitrate != 0 && f.TakesBitrate() || o.Quality != "" && f.TakesQuality() || o.SampleRate != 0 || o.Channels != "" || o.Normalize != 0 || p.cut() {
		return false
	}
	if f == options.WAV {
		switch p.info.Audio.Codec {
		case "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_u8":
			return true
		}
		return false
	}
	if f == options.FLAC && (p.info.Container != "flac" || p.info.Duration == 0) {
		return false // ffmpeg would keep a count of samples that is wrong or missing
	}
	return p.info.Audio.Codec == codecs[f]
}

// deep reports whether the sound has more than 16 bits that mean something:
// what was compressed with loss has none.
func (p Plan) deep() bool {
	a := p.info.Audio
	lossless := strings.HasPrefix(a.Codec, "pcm_") || a.Codec == "flac" || a.Codec == "alac" || a.Codec == "wavpack" || a.Codec == "tta" || a.Codec == "ape" || a.Codec == "truehd"
	return lossless && (a.Bits > 16 || strings.HasPrefix(a.Codec, "pcm_f"))
}

// lossless reports whether a format keeps every sample.
func lossless(f options.Format) bool { return f == options.FLAC || f == options.WAV }

// channels is how many the result has.
func (p Plan) channels() int {
	if n := p.opt.Channels.Count(); n > 0 {
		return n
	}
	return min(p.info.Audio.Channels, 2)
}

// rate is the sample rate of the result in a format, in Hz.
func (p Plan) rate(f options.Format) int {
	switch source := p.info.Audio.SampleRate; {
	case p.opt.SampleRate != 0:
		return p.opt.SampleRate
	case lossless(f) && source <= 192_000:
		return source
	default:
		return nearestRate(f.SampleRates(), source)
	}
}

// encoderArgs are the codec and what is asked of it.
func (t Tools) encoderArgs(p Plan, f options.Format) []string {
	rate, channels := p.rate(f), p.channels()
	want := p.opt.Bitrate
	switch f {
	case options.MP3:
		if p.opt.Quality != "" {
			return []string{"-c:a", "libmp3lame", "-q:a", strconv.Itoa(p.opt.Quality.Level())}
		}
		return []string{"-c:a", "libmp3lame", "-b:a", strconv.Itoa(t.mp3Bitrate(p))}
	case options.M4A:
		if want == 0 {
			want = 96_000 * channels
		}
		return []string{"-c:a", "aac", "-b:a", strconv.Itoa(min(want, 6*rate*channels))} // ISO/IEC 14496-3: 6144 bits for a channel and 1024 samples
	case options.Opus:
		if want == 0 {
			want = 64_000 * channels
		}
		return []string{"-c:a", "libopus", "-b:a", strconv.Itoa(min(want, 256_000*channels))} // libopus takes no more
	case options.Ogg:
		return append([]string{"-c:a", "libvorbis"}, p.vorbisArgs(rate, channels)...)
	case options.FLAC:
		if p.deep() {
			return []string{"-c:a", "flac", "-sample_fmt", "s32", "-bits_per_raw_sample", "24"}
		}
		return []string{"-c:a", "flac", "-sample_fmt", "s16"}
	default: // WAV
		return []string{"-c:a", p.codec(f), "-rf64", "auto"}
	}
}

// vorbisArgs asks libvorbis for a quality, from -1 to 10, rather than for a
// bit rate where it can be avoided: it knows no bit rates below and above what
// its models of a sample rate hold.
func (p Plan) vorbisArgs(rate, channels int) []string {
	switch {
	case p.opt.Quality != "":
		return []string{"-q:a", strconv.Itoa(9 - p.opt.Quality.Level())}
	case p.opt.Bitrate == 0:
		return []string{"-q:a", "6"}
	}
	least, most := vorbisBitrates(rate)
	return []string{"-b:a", strconv.Itoa(min(max(p.opt.Bitrate, least*channels), most*channels))}
}

// vorbisBitrates are the lowest and the highest bit rate for a channel that
// libvorbis 1.3 takes, in bit/s, each a little within (its tables
// rate_mapping_8 to rate_mapping_44).
func vorbisBitrates(rate int) (least, most int) {
	switch {
	case rate < 9000:
		return 8_000, 32_000
	case rate < 15000:
		return 12_000, 44_000
	case rate < 19000:
		return 16_000, 86_000
	case rate < 26000:
		return 19_000, 86_000
	case rate < 40000:
		return 22_000, 160_000
	}
	return 32_000, 240_000
}

// mp3Bitrate is the one for a fixed bit rate, in bit/s.
func (t Tools) mp3Bitrate(p Plan) int {
	want := p.opt.Bitrate
	if want == 0 {
		want = t.Bitrate
	}
	if want == 0 {
		want = 192_000
	}
	return bitrateFor(want, p.rate(options.MP3))
}

// muxerArgs end the command line of a result that is written to a file.
func muxerArgs(f options.Format) []string {
	var args []string
	switch f { //nolint:exhaustive // the others need nothing
	case options.MP3:
		args = []string{"-id3v2_version", "4", "-write_xing", "1"}
	case options.M4A:
		args = []string{"-movflags", "+faststart"}
	case options.Opus, options.Ogg:
		args = []string{"-fflags", "+bitexact"} // the serial number of a stream is not made by chance
	}
	return append(args, "-f", muxers[f], "-y", outputFile)
}
