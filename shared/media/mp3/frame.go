package mp3

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Frame is one frame with all that belongs to it: its main data, which in a
// stream may lie in the frames before.
type Frame struct {
	Header Header
	side   []byte // side information; its first bits are rewritten
	data   []byte // main data, without what is stuffed behind it
	back   int    // how many bytes before the frame the encoder began its main data
}

// beginBits is how many bits of the side information say how many bytes before
// the frame its main data begins.
func (h Header) beginBits() int {
	if h.version() == version1 {
		return 9
	}
	return 8
}

// mainBits adds up the lengths of the main data of a frame, in bits
// (part2_3_length; ISO/IEC 11172-3 2.4.1.7, 13818-3 2.4.1.7).
func mainBits(h Header, side []byte) int {
	channels := h.Channels()
	at, granules, step := 9+5, 2, 59 // mono: 5 private bits
	if channels == 2 {
		at = 9 + 3
	}
	at += 4 * channels // scfsi
	if h.version() != version1 {
		at, granules, step = 8+channels, 1, 63
	}
	sum := 0
	for range granules * channels {
		sum += int(bits(side, at, 12))
		at += step
	}
	return sum
}

// bits reads n bits, at most 16, that begin at a bit offset.
func bits(p []byte, at, n int) uint {
	var v uint
	for i := at; i < at+n; i++ {
		v = v<<1 | uint(p[i/8]>>(7-i%8)&1)
	}
	return v
}

// setBegin writes how many bytes before the frame its main data begins.
func setBegin(h Header, side []byte, back int) {
	if h.version() == version1 {
		side[0], side[1] = byte(back>>1), side[1]&0x7F|byte(back&1)<<7 //nolint:gosec // 9 bits
		return
	}
	side[0] = byte(back) //nolint:gosec // 8 bits
}

// Scanner reads frames from what one encoder writes.
type Scanner struct {
	r         *bufio.Reader
	reservoir []byte // the last bytes of main data, of all frames
	begun     bool
}

// NewScanner reads from r.
func NewScanner(r io.Reader) *Scanner { return &Scanner{r: bufio.NewReaderSize(r, 64<<10)} }

// maxTag bounds the ID3v2 tag before the frames, in bytes.
const maxTag = 32 << 20

// Tag returns the ID3v2 tag at the start of the stream, whole; nil where there
// is none. It is to be called before Next, or not at all.
func (s *Scanner) Tag() ([]byte, error) {
	s.begun = true
	head, err := s.r.Peek(10)
	if err != nil || string(head[:3]) != "ID3" {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return nil, err
	}
	size := 10 + (int(head[6]&0x7F)<<21 | int(head[7]&0x7F)<<14 | int(head[8]&0x7F)<<7 | int(head[9]&0x7F))
	if size > maxTag {
		return nil, fmt.Errorf("%w: an ID3 tag of %d bytes", ErrFormat, size)
	}
	tag := make([]byte, size)
	if _, err := io.ReadFull(s.r, tag); err != nil {
		return nil, err
	}
	return tag, nil
}

// Next returns the next frame; io.EOF after the last. A frame whose main data
// begins before the stream, or that has a checksum, is an ErrFormat: an
// encoder writes neither unless it is asked to.
func (s *Scanner) Next() (Frame, error) {
	if !s.begun {
		if _, err := s.Tag(); err != nil {
			return Frame{}, err
		}
	}
	head, err := s.r.Peek(headerBytes)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	h, ok := ParseHeader(head)
	if !ok || h.protected() || h.payload() < 0 {
		return Frame{}, fmt.Errorf("%w: no frame begins with %x", ErrFormat, head)
	}
	raw := make([]byte, h.Size())
	if _, err := io.ReadFull(s.r, raw); err != nil {
		return Frame{}, fmt.Errorf("read a frame: %w", io.ErrUnexpectedEOF)
	}
	return s.frame(h, raw)
}

// frame finds the main data of a frame.
func (s *Scanner) frame(h Header, raw []byte) (Frame, error) {
	side := raw[headerBytes : headerBytes+h.side()]
	back := int(bits(side, 0, h.beginBits()))
	if back > len(s.reservoir) {
		return Frame{}, fmt.Errorf("%w: the main data of a frame begins %d bytes before it, where there are %d", ErrFormat, back, len(s.reservoir))
	}
	all := append(s.reservoir, raw[headerBytes+h.side():]...)
	from := len(s.reservoir) - back
	size := (mainBits(h, side) + 7) / 8
	if from+size > len(all) {
		return Frame{}, fmt.Errorf("%w: a frame lacks %d bytes of main data", ErrFormat, from+size-len(all))
	}
	f := Frame{Header: h, side: side, back: back, data: append([]byte(nil), all[from:from+size]...)}
	s.reservoir = append(s.reservoir[:0], all[max(0, len(all)-h.reach()):]...)
	return f, nil
}
