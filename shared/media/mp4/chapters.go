package mp4

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxChapters = 255 // what a chpl box counts
	maxTitle    = 255 // bytes of one
	maxText     = 4 << 10
)

// chapterBox makes a udta box with the chapters of a movie that has them in
// a text track alone: ffmpeg does not read such a track from what cannot seek,
// and it would be left out with the video. None is no error.
func (m *movie) chapterBox(src io.ReaderAt, size int64) ([]byte, error) {
	t := m.chapterTrack()
	if t == nil || child(m.body, "udta", "chpl") != nil {
		return nil, nil
	}
	times, scale := t.times()
	if scale == 0 {
		return nil, nil
	}
	t.size, t.limits = size, nil
	list, count, at := []byte(nil), 0, uint64(0)
	for c := (cursor{track: t}); !c.done() && count < maxChapters; {
		first := c.sample
		k := c.next()
		for n := first; n < c.sample && count < maxChapters; n++ {
			length := t.sizes.sum(n, 1)
			title, err := text(src, k.at, min(length, k.size))
			if err != nil {
				return nil, err
			}
			hi, lo := bits.Mul64(at, 10_000_000)
			if hi >= scale {
				return nil, nil
			}
			start, _ := bits.Div64(hi, lo, scale)
			list = append(binary.BigEndian.AppendUint64(list, start), byte(len(title)))
			list = append(list, title...)
			count++
			k.at, k.size = k.at+length, max(0, k.size-length)
			at += times.take()
		}
	}
	if count == 0 {
		return nil, nil
	}
	// chpl: version 1, flags, four bytes of nothing, the count of chapters.
	chpl := append([]byte{1, 0, 0, 0, 0, 0, 0, 0, byte(count)}, list...)
	return wrap("udta", wrap("chpl", chpl)), nil
}

func wrap(kind string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(b, kind...), body...)
}

// chapterTrack is the text track that another one names as its chapters.
func (m *movie) chapterTrack() *track {
	for _, t := range m.tracks {
		chap := child(t.body, "tref", "chap")
		if len(chap) < 4 {
			continue
		}
		for i := range m.tracks {
			c := &m.tracks[i]
			if c.fault == nil && (c.handler == "text" || c.handler == "sbtl") && bytes.Equal(c.id(), chap[:4]) {
				return c
			}
		}
	}
	return nil
}

// id returns the four bytes of the track's number in its tkhd box (8.3.2).
func (t *track) id() []byte {
	h := child(t.body, "tkhd")
	switch {
	case len(h) >= 24 && h[0] == 1:
		return h[20:24]
	case len(h) >= 16 && h[0] == 0:
		return h[12:16]
	}
	return nil
}

// durations are those of successive samples, from a stts box (8.6.1.2).
type durations struct {
	list table
	n    int
	left uint32 // of the entry before n
	each uint64
}

// times returns the durations of the samples, and how many units of them a
// second has (8.4.2); zero where it is unknown.
func (t *track) times() (*durations, uint64) {
	list, ok := listed(child(t.body, "mdia", "minf", "stbl", "stts"), 4, 64)
	h := child(t.body, "mdia", "mdhd")
	switch {
	case ok && len(h) >= 24 && h[0] == 1:
		return &durations{list: list}, uint64(binary.BigEndian.Uint32(h[20:]))
	case ok && len(h) >= 16 && h[0] == 0:
		return &durations{list: list}, uint64(binary.BigEndian.Uint32(h[12:]))
	}
	return nil, 0
}

func (d *durations) take() uint64 {
	for d.left == 0 {
		if d.n == d.list.len() {
			return 0
		}
		entry := d.list.at(d.n)
		d.left, d.each = uint32(entry>>32), entry&0xFFFFFFFF
		d.n++
	}
	d.left--
	return d.each
}

// text reads a text sample of QuickTime or 3GPP: its length in 16 bits, then
// UTF-8, or UTF-16 with a byte order mark.
func text(src io.ReaderAt, at, size int64) (string, error) {
	size = min(size, maxText)
	if size < 2 {
		return "", nil
	}
	b, err := read(src, span{at, at + size})
	if err != nil {
		return "", err
	}
	b = b[2:min(len(b), 2+int(binary.BigEndian.Uint16(b)))]
	s := string(b)
	if len(b) >= 2 && (s[:2] == "\xFE\xFF" || s[:2] == "\xFF\xFE") {
		var order binary.ByteOrder = binary.BigEndian
		if b[0] == 0xFF {
			order = binary.LittleEndian
		}
		units := make([]uint16, 0, len(b)/2)
		for b = b[2:]; len(b) >= 2; b = b[2:] {
			units = append(units, order.Uint16(b))
		}
		s = string(utf16.Decode(units))
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	for len(s) > maxTitle {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s, nil
}
