package mp4

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// files are those of every kind that is streamed; each has sound.
func files(t testing.TB) map[string][]byte {
	back := sample(t, "back.mp4", av+" -c:a aac")
	reverse := func(p []placed) { slices.Reverse(p) }
	soundLast := func(p []placed) {
		slices.SortStableFunc(p, func(a, b placed) int { return cmp.Compare(a.track, b.track) })
	}
	shuffled := func(p []placed) {
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
	}
	pcm := sample(t, "pcm.mov", av+" -c:a pcm_s16le")
	return map[string][]byte{
		"index at the end":         back,
		"index in front":           sample(t, "front.mp4", av+" -c:a aac -movflags +faststart"),
		"fragments":                sample(t, "frag.mp4", av+" -c:a aac -g 25 -movflags frag_keyframe+empty_moov"),
		"fragments, index first":   sample(t, "hybrid.mp4", av+" -c:a aac -g 25 -movflags frag_keyframe"),
		"fragments, CMAF":          sample(t, "cmaf.mp4", av+" -c:a aac -g 25 -movflags cmaf+delay_moov"),
		"fragments, dash":          sample(t, "dash.mp4", av+" -c:a aac -g 25 -movflags dash+global_sidx"),
		"mov, pcm":                 pcm,
		"mov, pcm of 24 bits":      sample(t, "pcm24.mov", av+" -c:a pcm_s24be -ac 2"),
		"mov, pcm in front":        sample(t, "pcmfront.mov", av+" -c:a pcm_s16be -ac 2 -movflags +faststart"),
		"mov, pcm out of order":    rearranged(t, pcm, shuffled),
		"mov, ima4":                sample(t, "ima.mov", av+" -c:a adpcm_ima_qt"),
		"mov, ulaw":                sample(t, "ulaw.mov", av+" -c:a pcm_mulaw"),
		"mov, sound only":          sample(t, "only.mov", noise+" -c:a pcm_s16le"),
		"m4a":                      sample(t, "a.m4a", noise+" -c:a aac"),
		"m4a, alac":                sample(t, "alac.m4a", noise+" -c:a alac"),
		"m4a with a picture":       sample(t, "pic.m4a", noise+" -f lavfi -i testsrc=rate=1:duration=1 -map 0 -map 1 -c:a aac -c:v png -disposition:v attached_pic"),
		"mp4, mp3":                 sample(t, "mp3.mp4", av+" -c:a libmp3lame"),
		"mp4, ac3":                 sample(t, "ac3.mp4", av+" -c:a ac3"),
		"mp4, opus":                sample(t, "opus.mp4", av+" -ar 48000 -c:a libopus"),
		"mp4, flac":                sample(t, "flac.mp4", av+" -c:a flac -strict -2"),
		"3gp":                      sample(t, "a.3gp", picture+" "+noise+" -c:v h263 -s 176x144 -ac 1 -c:a aac"),
		"two sound tracks":         sample(t, "two.mp4", picture+" "+noise+" "+tone+h264+" -map 0 -map 1 -map 2 -c:a aac"),
		"sound that begins late":   sample(t, "late.mp4", picture+" -itsoffset 1 "+noise+h264+" -c:a aac"),
		"sound cut at its start":   sample(t, "cut.mp4", picture+" -ss 1.3 "+noise+h264+" -c:a libmp3lame"),
		"timecode":                 sample(t, "tmcd.mov", av+" -timecode 01:00:00:00 -c:a aac"),
		"sound after the picture":  rearranged(t, back, soundLast),
		"backwards":                rearranged(t, back, reverse),
		"shuffled":                 rearranged(t, back, shuffled),
		"no ftyp":                  withoutType(back),
		"bytes after the end":      append(bytes.Clone(back), "\x00\x00\x00 some more"...),
		"64-bit sizes and offsets": widened(t, back),
	}
}

// withoutType makes the ftyp box of a file one of free space.
func withoutType(content []byte) []byte {
	content = bytes.Clone(content)
	copy(content[4:], "free")
	return content
}

// widened lays a file out with co64 tables.
func widened(t testing.TB, content []byte) []byte {
	t.Helper()
	s, err := Open(bytes.NewReader(content), int64(len(content)), All)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := survey(bytes.NewReader(content), int64(len(content)))
	index, tables := rebuild(content[l.moov.start:l.moov.end], s.tracks, nil, true)
	for track, c := range s.chunks() {
		tables[track].put(c.n, c.at)
	}
	return append(bytes.Clone(content[:l.moov.start]), index...)
}

// TestAStreamPlaysAsTheFile is what the package is for: ffmpeg decodes from a
// pipe the very samples and pictures that it decodes from the file.
func TestAStreamPlaysAsTheFile(t *testing.T) {
	for name, content := range files(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := hashes(fromFile(t, content, "-map 0:a -map 0:v? -f streamhash"))
			if got := hashes(fromPipe(t, streamed(t, content, All), "-map 0:a -map 0:v? -f streamhash")); !slices.Equal(got, want) {
				t.Errorf("all tracks: %q, want %q", got, want)
			}
			want = slices.DeleteFunc(want, func(h string) bool { return h[0] != 'a' })
			if got := hashes(fromPipe(t, streamed(t, content, Sound), "-map 0:a -f streamhash")); !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("sound: %q, want %q", got, want)
			}
		})
	}
}

// hashes returns the kind and the hash of each stream, of lines such as
// "0,a,SHA256=…".
func hashes(lines []byte) (found []string) {
	for line := range strings.Lines(string(lines)) {
		_, hash, _ := strings.Cut(strings.TrimSpace(line), ",")
		found = append(found, hash)
	}
	return found
}

// counting counts what is read of a source.
type counting struct {
	io.ReaderAt
	bytes int64
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	c.bytes += int64(n)
	return n, err
}

func TestThePictureIsNotRead(t *testing.T) {
	content := sample(t, "big.mp4", "-f lavfi -i testsrc2=size=640x480:rate=25:duration=3 "+noise+h264+" -crf 10 -c:a aac")
	src := &counting{ReaderAt: bytes.NewReader(content)}
	s, err := Open(src, int64(len(content)), Sound)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Reader()
	defer func() { _ = r.Close() }()
	n, err := io.Copy(io.Discard, r)
	if err != nil || n != s.Len() || src.bytes > n+20_000 || src.bytes > int64(len(content))/5 {
		t.Errorf("read %d of %d bytes for a stream of %d, %v", src.bytes, len(content), n, err)
	}
}

func TestChaptersStay(t *testing.T) {
	meta := ";FFMETADATA1\n"
	for _, c := range []string{"0\nEND=1000\ntitle=Über die Kunst", "1000\nEND=2500\ntitle=東京", "2500\nEND=3000\ntitle="} {
		meta += "[CHAPTER]\nTIMEBASE=1/1000\nSTART=" + c + "\n"
	}
	path := t.TempDir() + "/meta"
	write(t, path, meta)
	args := picture + " " + noise + " -f ffmetadata -i " + path + " -map 0:v -map 1:a -map_chapters 2 -c:a aac" + h264
	for name, content := range map[string][]byte{
		"in the index":     sample(t, "chapters.mp4", args),
		"in a text track":  sample(t, "chapters.mov", args),
		"in both, no chpl": sample(t, "nochpl.mp4", args+" -movflags disable_chpl"),
	} {
		t.Run(name, func(t *testing.T) {
			want := chapters(fromFile(t, content, "-f ffmetadata"))
			if len(want) != 3 {
				t.Fatalf("the file has chapters %q", want)
			}
			if got := chapters(fromPipe(t, streamed(t, content, Sound), "-f ffmetadata")); !slices.Equal(got, want) {
				t.Errorf("chapters %q, want %q", got, want)
			}
		})
	}
}

// chapters returns start and title of each, in ms, from a file of metadata.
func chapters(meta []byte) (found []string) {
	scale := 1
	for line := range strings.Lines(string(meta)) {
		line = strings.TrimSpace(line)
		switch key, value, _ := strings.Cut(line, "="); {
		case line == "[CHAPTER]":
			found = append(found, "")
		case key == "TIMEBASE":
			scale, _ = strconv.Atoi(strings.TrimPrefix(value, "1/"))
		case key == "START":
			start, _ := strconv.Atoi(value)
			found[len(found)-1] += strconv.Itoa(start * 1000 / scale)
		case key == "title" && len(found) > 0:
			found[len(found)-1] += " " + value
		}
	}
	return found
}

func TestWhatCannotBeStreamed(t *testing.T) {
	back := sample(t, "back.mp4", av+" -c:a aac")
	front := sample(t, "front.mp4", av+" -c:a aac -movflags +faststart")
	frag := sample(t, "frag.mp4", av+" -c:a aac -g 25 -movflags frag_keyframe+empty_moov")
	sound := bytes.LastIndex(back, []byte("mdia")) // the second track is the sound
	inSound := func(kind string, offset int, v uint32) []byte {
		return append(bytes.Clone(back[:sound]), with(t, back[sound:], kind, offset, v)...)
	}
	tests := map[string]struct {
		content []byte
		want    error
	}{
		"nothing":               {nil, ErrNotStreamable},
		"text":                  {[]byte("Dear diary, this is not a film.\n"), ErrNotStreamable},
		"media in another file": {with(t, back, "url ", 0, 0), ErrNotStreamable},
		"index cut off":         {back[:len(back)-100], ErrNoIndex},
		"no index":              {back[:len(back)/2], ErrNoIndex},
		"only a type":           {back[:32], ErrNoIndex},
		"several cuts":          {inSoundEdits(t, back), ErrNotStreamable},
		"chunks from 0":         {inSound("stsc", 8, 0), ErrNotStreamable},
		"chunks of nothing":     {inSound("stsc", 12, 0), ErrNotStreamable},
		"too many offsets":      {inSound("stco", 4, 1<<31), ErrNotStreamable},
		"too many sizes":        {inSound("stsz", 8, 1<<31), ErrNotStreamable},
		"media used twice":      {inSound("stsz", 4, 1<<20), ErrNotStreamable},
		"index after fragments": {append(frag[bytes.Index(frag, []byte("moof"))-4:], frag[:bytes.Index(frag, []byte("moof"))-4]...), ErrNotStreamable},
		"an index too large":    {with(t, front, "moov", -8, maxIndex+1), ErrNoIndex},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(bytes.NewReader(tt.content), int64(len(tt.content)), Sound); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// inSoundEdits gives a file a second part in the edit list of its sound.
func inSoundEdits(t testing.TB, content []byte) []byte {
	t.Helper()
	content = bytes.Clone(content)
	at := bytes.LastIndex(content, []byte("edts"))
	list := binary.BigEndian.AppendUint32(nil, 0)
	list = binary.BigEndian.AppendUint32(list, 2)
	list = append(list, make([]byte, 24)...)
	edts := wrap("edts", wrap("elst", list))
	grown := len(edts) - int(binary.BigEndian.Uint32(content[at-4:]))
	out := append(bytes.Clone(content[:at-4]), edts...)
	out = append(out, content[at-4+len(edts)-grown:]...)
	for _, kind := range []string{"moov", "trak"} {
		k := bytes.LastIndex(out[:at], []byte(kind))
		binary.BigEndian.PutUint32(out[k-4:], binary.BigEndian.Uint32(out[k-4:])+uint32(grown))
	}
	return out
}

// TestAFileCutShortGivesWhatIsThere: whether that will do is for others to
// judge.
func TestAFileCutShortGivesWhatIsThere(t *testing.T) {
	front := sample(t, "front.mp4", av+" -c:a aac -movflags +faststart")
	whole := fromFile(t, front, "-map 0:a -f s16le")
	half := fromPipe(t, streamed(t, front[:len(front)*6/10], Sound), "-map 0:a -f s16le")
	if len(half) < len(whole)/4 || len(half) > len(whole)*3/4 || !bytes.Equal(half[:len(half)*3/4], whole[:len(half)*3/4]) {
		t.Errorf("%d bytes of sound, of %d", len(half), len(whole))
	}
}

func TestAFaultOfTheSourceIsHandedOn(t *testing.T) {
	content := sample(t, "back.mp4", av+" -c:a aac")
	lost := errors.New("the store is gone")
	if _, err := Open(failing{bytes.NewReader(content), int64(len(content)) / 2, lost}, int64(len(content)), Sound); !errors.Is(err, lost) {
		t.Errorf("open: %v", err)
	}
	for name, want := range map[string]error{"error": lost, "shorter than it said": io.ErrUnexpectedEOF} {
		s, err := Open(bytes.NewReader(content), int64(len(content)), Sound)
		if err != nil {
			t.Fatal(err)
		}
		s.src = failing{bytes.NewReader(content), int64(len(content)) / 2, want}
		if name != "error" {
			s.src = bytes.NewReader(content[:len(content)/2])
		}
		r := s.Reader()
		n, err := io.Copy(io.Discard, r)
		if !errors.Is(err, want) || n >= s.Len() {
			t.Errorf("%s: read %d of %d bytes, %v", name, n, s.Len(), err)
		}
		_ = r.Close()
	}
}

// failing fails from an offset on.
type failing struct {
	io.ReaderAt
	from int64
	err  error
}

func (f failing) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > f.from {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, at)
}

func TestAReaderKeepsItsContract(t *testing.T) {
	content := sample(t, "back.mp4", av+" -c:a aac")
	s, err := Open(bytes.NewReader(content), int64(len(content)), Sound)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Reader()
	defer func() { _ = r.Close() }()
	if err := iotest.TestReader(r, streamed(t, content, Sound)); err != nil {
		t.Error(err)
	}
}
