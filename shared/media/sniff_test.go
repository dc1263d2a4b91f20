package media

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// good are samples of the kinds that are taken, as far as ffmpeg can make them:
// arguments after picture and tone, or after the tone alone where there can be
// no picture.
var good = []struct{ name, demuxer, args string }{
	{"a.mp4", "mov", film + " " + tone + h264 + " -c:a aac"},
	{"frag.mp4", "mov", film + " " + tone + h264 + " -c:a aac -movflags frag_keyframe+empty_moov"},
	{"a.mov", "mov", film + " " + tone + h264 + " -c:a pcm_s16le"},
	{"a.3gp", "mov", film + " " + tone + " -c:v h263 -s 176x144 -c:a aac"},
	{"a.m4a", "mov", tone + " -c:a alac"},
	{"a.mkv", "matroska", film + " " + tone + h264 + " -c:a ac3"},
	{"a.webm", "matroska", film + " " + tone + " -c:v libvpx -deadline realtime -cpu-used 8 -c:a libopus"},
	{"a.avi", "avi", film + " " + tone + " -c:v mpeg4 -c:a libmp3lame"},
	{"a.flv", "flv", film + " " + tone + " -c:v flv -c:a libmp3lame"},
	{"a.wmv", "asf", film + " " + tone + " -c:v wmv2 -c:a wmav2"},
	{"a.mpg", "mpeg", film + " " + tone + " -c:v mpeg2video -c:a mp2"},
	{"a.vob", "mpeg", film + " " + tone + " -c:v mpeg2video -c:a ac3"},
	{"a.ts", "mpegts", film + " " + tone + h264 + " -c:a aac"},
	{"a.m2ts", "mpegts", film + " " + tone + h264 + " -c:a ac3"},
	{"a.nut", "nut", film + " " + tone + h264 + " -c:a aac"},
	{"a.mxf", "mxf", film + " " + tone + " -c:v mpeg2video -ar 48000"},
	{"a.gxf", "gxf", film + " " + tone + " -c:v mpeg2video -s 720x576 -ar 48000 -ac 1"},
	{"a.wtv", "wtv", film + " " + tone + " -c:v mpeg2video -c:a mp2"},
	{"a.rm", "rm", film + " " + tone + " -c:v rv10 -s 176x144 -r 25 -c:a ac3"},
	{"a.dv", "dv", film + " " + tone + " -s 720x576 -pix_fmt yuv420p -ar 48000 -ac 2"},
	{"a.wav", "wav", tone},
	{"rf64.wav", "wav", tone + " -rf64 always"},
	{"a.w64", "w64", tone},
	{"a.aiff", "aiff", tone},
	{"a.aifc", "aiff", tone + " -c:a pcm_s16le -f aiff"},
	{"a.caf", "caf", tone},
	{"a.au", "au", tone},
	{"a.voc", "voc", tone},
	{"a.sox", "sox", tone},
	{"a.flac", "flac", tone},
	{"a.ogg", "ogg", tone},
	{"a.opus", "ogg", tone + " -c:a libopus"},
	{"a.mp3", "mp3", tone},
	{"bare.mp3", "mp3", tone + " -id3v2_version 0 -write_xing 0"},
	{"a.mp2", "mp3", tone},
	{"a.aac", "aac", tone},
	{"a.latm", "loas", tone + " -c:a aac -f latm"},
	{"a.ac3", "ac3", tone},
	{"a.eac3", "eac3", tone},
	{"a.dts", "dts", tone + " -c:a dca -strict -2 -ar 48000"},
	{"a.thd", "truehd", tone + " -c:a truehd -strict -2 -ar 48000 -f truehd"},
	{"a.mlp", "mlp", tone + " -c:a mlp -strict -2 -ar 48000"},
	{"a.wv", "wv", tone},
	{"a.tta", "tta", tone},
}

func sniffBytes(b []byte) (kind, error) { return sniff(bytes.NewReader(b), int64(len(b))) }

// TestAKindIsToldByItsContent: each sample by one demuxer, and of each the
// sound is made.
func TestAKindIsToldByItsContent(t *testing.T) {
	for _, g := range good {
		t.Run(g.name, func(t *testing.T) {
			content := sample(t, g.name, g.args)
			k, err := sniffBytes(content)
			if err != nil || k.demuxer != g.demuxer || k.unsure {
				t.Fatalf("%+v, %v; want %s", k, err, g.demuxer)
			}
			in := local(t, content)
			info, m, _, err := convertInput(t, in, options.Options{})
			if err != nil || !near(m.Duration, 4*time.Second) || !slices.Contains(strings.Split(info.Container, ","), g.demuxer) {
				t.Errorf("%+v, %+v, %v", info, m, err)
			}
		})
	}
}

func TestAKindIsToldDespiteWhatIsBeforeIt(t *testing.T) {
	mp3, aac, flac := sample(t, "bare.mp3", tone+" -id3v2_version 0 -write_xing 0"), sample(t, "a.aac", tone), sample(t, "a.flac", tone)
	ts, mpg := sample(t, "a.ts", tone+" -c:a aac"), sample(t, "a.mpg", tone+" -c:a mp2")
	tag := func(n int) []byte {
		return append([]byte{'I', 'D', '3', 4, 0, 0, 0, byte(n >> 14), byte(n >> 7 & 127), byte(n & 127)}, make([]byte, n)...)
	}
	for name, tt := range map[string]struct {
		content []byte
		want    string
	}{
		"mp3 after a tag":                {append(tag(100), mp3...), "mp3"},
		"mp3 after two tags":             {append(append(tag(100), tag(30_000)...), mp3...), "mp3"},
		"mp3 after zeros":                {append(make([]byte, 20_000), mp3...), "mp3"},
		"mp3 after a tag and zeros":      {append(append(tag(100), make([]byte, 20_000)...), mp3...), "mp3"},
		"mp3 from within a frame":        {mp3[100:], "mp3"},
		"aac after a tag":                {append(tag(100), aac...), "aac"},
		"aac from within a frame":        {aac[100:], "aac"},
		"flac after a tag":               {append(tag(100), flac...), "flac"},
		"transport from within a packet": {ts[100:], "mpegts"},
		"program from within a pack":     {mpg[100:], "mpeg"},
		"mp4 after another box":          {append(box("uuid", strings.Repeat("x", 24)), sample(t, "a.mp4", film+" "+tone+h264+" -c:a aac -movflags frag_keyframe+empty_moov+default_base_moof")...), "mov"},
		"mxf after a run-in":             {append(make([]byte, 5000), sample(t, "a.mxf", film+" "+tone+" -c:v mpeg2video -ar 48000")...), "mxf"},
	} {
		t.Run(name, func(t *testing.T) {
			if k, err := sniffBytes(tt.content); err != nil || k.demuxer != tt.want {
				t.Errorf("%+v, %v; want %s", k, err, tt.want)
			}
			if _, m, _, err := convertInput(t, local(t, tt.content), options.Options{}); err != nil || (m.Duration-4*time.Second).Abs() > 500*time.Millisecond {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

// TestWhatIsNoKindThatIsTakenIsNotShownToAProgram, and its owner learns why.
func TestWhatIsNoKindThatIsTakenIsNotShownToAProgram(t *testing.T) {
	none := Tools{Bare: true, FFprobe: script(t, "echo started >&2; kill -SEGV $$")}
	tests := map[string]struct {
		content string
		want    error
	}{
		"HLS":                     {"#EXTM3U\n#EXTINF:4,\na.ts\n", ErrPlaylist},
		"HLS, byte order mark":    {"\xEF\xBB\xBF\r\n#EXTM3U\n", ErrPlaylist},
		"DASH":                    {"<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\">", ErrPlaylist},
		"SDP":                     {"v=0\no=- 0 0 IN IP4 127.0.0.1\n", ErrPlaylist},
		"concat":                  {"file 'a.mp4'\n", ErrPlaylist},
		"ffconcat":                {"ffconcat version 1.0\nfile a.mp4\n", ErrPlaylist},
		"PLS":                     {"[playlist]\nFile1=a.mp3\n", ErrPlaylist},
		"ASX":                     {"<ASX version=\"3.0\">", ErrPlaylist},
		"an address":              {"https://example.org/a.mp4", ErrPlaylist},
		"zip":                     {"PK\x03\x04\x14\x00", ErrArchive},
		"gzip":                    {"\x1F\x8B\x08\x00", ErrArchive},
		"tar":                     {"a.mp4" + strings.Repeat("\x00", 252) + "ustar\x0000", ErrArchive},
		"JPEG":                    {"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00", ErrPicture},
		"HEIC":                    {"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", ErrPicture},
		"WebP":                    {"RIFF\x00\x00\x00\x00WEBPVP8 ", ErrPicture},
		"subtitles":               {"1\n00:00:01,000 --> 00:00:02,000\nHello\n", ErrNotMedia},
		"SSA":                     {"[Script Info]\nTitle: a\n", ErrNotMedia},
		"WebVTT":                  {"WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n", ErrNotMedia},
		"PDF":                     {"%PDF-1.7\n", ErrNotMedia},
		"text like a box":         {"The free encyclopedia", ErrNotMedia},
		"a tag and nothing":       {"ID3\x04\x00\x00\x00\x00\x00\x05xxxxxDear diary", ErrNotMedia},
		"a tag and a playlist":    {"ID3\x04\x00\x00\x00\x00\x00\x05xxxxx#EXTM3U\n#EXTINF:4,\na.ts\n", ErrNotMedia},
		"a tag that is cut short": {"ID3\x04\x00\x00\x00\x00\x7F\x05xxxxx", ErrCutShort},
		"MIDI":                    {"MThd\x00\x00\x00\x06", ErrNotMedia},
		"SWF":                     {"FWS\x04\x00", ErrNotMedia},
		"one byte":                {"\xFF", ErrNotMedia},
		"nothing":                 {"", ErrNotMedia},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := none.Probe(t.Context(), local(t, []byte(tt.content)))
			if !errors.Is(err, tt.want) || !fail.Is(err, fail.Invalid) || fail.Detail(err) != tt.want.Error() {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if _, err := none.Open(t.Context(), strings.NewReader(tt.content), int64(len(tt.content)), false); !errors.Is(err, tt.want) {
				t.Errorf("open elsewhere: %v, want %v", err, tt.want)
			}
		})
	}
}

// demuxers are the names of all that there are.
func demuxers() []string {
	all := []string{movie.demuxer}
	for _, k := range append(kinds, searched...) {
		all = append(all, k.demuxer)
	}
	return all
}

// TestDemuxersOpenNothingElse holds the list to what it must never have.
func TestDemuxersOpenNothingElse(t *testing.T) {
	bad := strings.Fields("hls dash concat image2 image2pipe sdp rtsp rtp sap imf vobsub lavfi webm_dash_manifest tee data bluray srt ass webvtt microdvd ffmetadata")
	all := demuxers()
	for _, d := range all {
		if slices.Contains(bad, d) || strings.Contains(d, ",") {
			t.Errorf("%s is on the list", d)
		}
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 40 {
		t.Errorf("%d demuxers: tell docs/adr/0016 of it", n)
	}
}

// counting counts the bytes that were asked for.
type counting struct {
	io.ReaderAt
	bytes int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.bytes += len(p)
	return c.ReaderAt.ReadAt(p, off)
}

// FuzzSniff holds that no content makes it panic or read without end, that it
// names a demuxer of the list or gives a reason, and never takes text.
func FuzzSniff(f *testing.F) {
	random := rand.New(rand.NewPCG(7, 8))
	for i := range kinds {
		b := bytes.Repeat([]byte{byte(random.Uint32())}, 600)
		copy(b, kinds[i].magic[0])
		f.Add(b)
	}
	for _, s := range []string{"#EXTM3U\n", "ID3\x04\x00\x00\x00\x00\x00\x05xxxxx\xFF\xFB\x90\x00", "\x0B\x77\x1E\xF8\x4C\x40", strings.Repeat("G", 600)} {
		f.Add([]byte(s))
	}
	all := demuxers()
	f.Fuzz(func(t *testing.T, content []byte) {
		r := &counting{ReaderAt: bytes.NewReader(content)}
		k, err := sniff(r, int64(len(content)))
		if r.bytes > 128<<10 {
			t.Errorf("%d bytes read", r.bytes)
		}
		switch {
		case err != nil && !fail.Is(err, fail.Invalid):
			t.Errorf("error %v", err)
		case err == nil && !slices.Contains(all, k.demuxer):
			t.Errorf("kind %+v", k)
		case err == nil && bytes.HasPrefix(content, []byte("#EXTM3U")):
			t.Errorf("a playlist is %+v", k)
		}
	})
}
