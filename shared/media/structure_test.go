package media

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

// FuzzEndOf holds that no content makes it panic, fail or read without bound,
// and that a movie in fragments is judged alike as a file and while it passes
// in pieces.
func FuzzEndOf(f *testing.F) {
	fragment := string(box("ftyp", "isom", size(512))) + string(box("moof", "12345678"))
	for _, s := range []string{
		fragment + string(box("mdat", "1234")),
		fragment + size(99) + "mdat1234",
		fragment + size(0) + "mdat1234",
		fragment + size(1) + "mdat" + size(0) + size(20) + "1234",
		fragment + size(1) + "mdat" + size(0) + size(12) + "mdat", // less than its own header
		fragment + size(1) + "mdat" + size(-1) + size(-1),
		"\x1A\x45\xDF\xA3\x84abcd" + "\x18\x53\x80\x67\x01\x00\x00\x00\x00\x00\x00\x04" + "abcd",
		"\x1A\x45\xDF\xA3\xFF",
		"RIFF\x04\x00\x00\x00WAVE",
		"RIFF\xFF\xFF\x00\x00AVI ",
		"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00" + "\x08\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00abcd" + "\x00\x00\x00\x0F",
	} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, content []byte, piece uint8) {
		length := int64(len(content))
		for _, container := range []string{"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "wav", "flv"} {
			r := &counting{ReaderAt: bytes.NewReader(content)}
			if _, err := endOf(&Input{at: r, size: length}, container); err != nil {
				t.Errorf("%s: %v", container, err)
			}
			if r.bytes > 2*len(content)+64 {
				t.Errorf("%s: %d bytes read of %d", container, r.bytes, length)
			}
		}
		var seen tally
		for p := range slices.Chunk(content, 1+int(piece)) {
			seen.add(p)
		}
		seen.end()
		e, err := endOfBoxes(bytes.NewReader(content), length)
		if cut := seen.fragments && e == endsBroken; err != nil && !errors.Is(err, io.EOF) || cut != seen.cut {
			t.Errorf("cut: %v as a file, %v in pieces of %d; %v", cut, seen.cut, 1+int(piece), err)
		}
	})
}
