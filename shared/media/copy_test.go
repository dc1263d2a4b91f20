package media

import (
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// TestWhatIsInTheCodecAlreadyIsCopied compares what decoders make of the
// source and of the copy.
func TestWhatIsInTheCodecAlreadyIsCopied(t *testing.T) {
	tests := map[string]struct {
		name, args string
		format     options.Format
	}{
		"MP3 as it is":       {"a.mp3", tone, options.MP3},
		"MP3 in Matroska":    {"a.mkv", film + " " + tone + " -c:v libvpx -deadline realtime -c:a libmp3lame", options.MP3},
		"AAC in MP4":         {"a.mp4", film + " " + tone + h264 + " -c:a aac", options.M4A},
		"AAC in MPEG-TS":     {"a.ts", film + " " + tone + h264 + " -c:a aac", options.M4A},
		"Opus in WebM":       {"a.webm", film + " " + tone + " -c:v libvpx -deadline realtime -c:a libopus", options.Opus},
		"Vorbis in WebM":     {"b.webm", film + " " + tone + " -c:v libvpx -deadline realtime -c:a libvorbis", options.Ogg},
		"FLAC":               {"a.flac", tone, options.FLAC},
		"PCM in QuickTime":   {"a.mov", film + " " + tone + h264 + " -c:a pcm_s24le", options.WAV},
		"5.1 AAC is not cut": {"c.mp4", "-f lavfi -i anoisesrc=d=2:a=0.1 -ac 6 -c:a aac", options.M4A},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			content := sample(t, tt.name, tt.args)
			in := local(t, content)
			p := plan(t, in, options.Options{Formats: []options.Format{tt.format}})
			if !p.copies(tt.format) {
				t.Fatalf("%+v is not copied", p.info.Audio)
			}
			remote, err := elsewhere(t, content)
			if err != nil {
				t.Fatal(err)
			}
			source := samples(t, file(t, content))
			for _, in := range []*Input{in, remote} {
				_, _, out, err := convertInput(t, in, options.Options{Formats: []options.Format{tt.format}})
				if err != nil {
					t.Fatal(err)
				}
				copied := samples(t, out)
				// ffmpeg may not know what to leave out at the end.
				if len(copied)-len(source) < -1 || len(copied)-len(source) > 1152 {
					t.Errorf("%d samples, the source has %d", len(copied), len(source))
				}
				for i := range min(len(source), len(copied)) {
					if source[i] != copied[i] {
						t.Errorf("sample %d is %g, in the source %g", i, copied[i], source[i])
						break
					}
				}
			}
		})
	}
	for name, opt := range map[string]options.Options{
		"bit rate": {Bitrate: 64000}, "quality": {Quality: "v4"}, "sample rate": {SampleRate: 22050}, "channels": {Channels: options.Mono},
		"start": {Start: 1e9}, "end": {End: 1e9}, "loudness": {Normalize: -16},
	} {
		if p := (Plan{info: Info{Audio: Stream{Codec: "mp3"}}, opt: opt}); p.copies(options.MP3) {
			t.Errorf("copied in spite of the %s", name)
		}
	}
}
