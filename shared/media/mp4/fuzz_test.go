package mp4

import (
	"bytes"
	"io"
	"runtime"
	"testing"
)

// FuzzOpen holds that no file makes the package panic, take memory out of
// proportion, or give another length than it promised.
func FuzzOpen(f *testing.F) {
	// Little but structure, so that this is what the mutations meet.
	small := "-f lavfi -i testsrc=size=32x32:rate=5:duration=0.6 -f lavfi -i sine=sample_rate=8000:duration=0.6" + h264
	for name, args := range map[string]string{
		"a.mp4": small + " -c:a aac",
		"b.mp4": small + " -c:a aac -movflags +faststart",
		"c.mp4": small + " -c:a aac -movflags frag_keyframe+empty_moov",
		"d.mov": small + " -c:a pcm_s16le -timecode 01:00:00:00",
	} {
		f.Add(sample(f, name, args))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, keep := range []Keep{Sound, All} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s, err := Open(bytes.NewReader(content), int64(len(content)), keep)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > uint64(64*len(content)+1<<20) {
				t.Errorf("%d bytes allocated for a file of %d", used, len(content))
			}
			if err != nil {
				continue
			}
			r := s.Reader()
			n, err := io.Copy(io.Discard, r)
			_ = r.Close()
			if err != nil || n != s.Len() || n > 4*int64(len(content)) {
				t.Errorf("%d bytes of %d promised, from %d; %v", n, s.Len(), len(content), err)
			}
		}
	})
}
