// Package mp3 takes MPEG audio Layer III streams apart and puts them together
// again: it joins what several encoders made of one piece of sound, repairs
// the bit reservoir across the joints, and writes and reads the header that
// tells players the exact length (ISO/IEC 11172-3 and 13818-3; Xing, Info and
// LAME: http://gabriel.mp3-tech.org/mp3infotag.html). It knows no sound, only
// frames.
package mp3

import (
	"encoding/binary"
	"errors"
)

// ErrFormat is wrapped by every error about bytes that are not what an
// encoder of Layer III writes.
var ErrFormat = errors.New("not an MPEG Layer III stream")

// The versions of MPEG audio, as a frame header has them.
const (
	version25 = 0 // of LAME's own making, for 8 to 12 kHz
	version2  = 2
	version1  = 3
)

var (
	bitrates1 = [16]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}
	bitrates2 = [16]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}
	rates     = map[int][3]int{version1: {44100, 48000, 32000}, version2: {22050, 24000, 16000}, version25: {11025, 12000, 8000}}
)

// topBitrate is the index of the highest bit rate that a frame can have.
const topBitrate = 14

// Header is the head of a frame: 32 bits, most significant first.
type Header uint32

// headerBytes is the size of a Header in a stream.
const headerBytes = 4

// ParseHeader reads the first four bytes of p. Free format and reserved
// values are refused, as are the other layers.
func ParseHeader(p []byte) (Header, bool) {
	if len(p) < headerBytes {
		return 0, false
	}
	h := Header(binary.BigEndian.Uint32(p))
	ok := h>>21 == 0x7FF && h.version() != 1 && h>>17&3 == 1 && // sync, version, layer III
		h.bitrateIndex() != 0 && h.bitrateIndex() <= topBitrate && h>>10&3 != 3
	return h, ok
}

func (h Header) version() int      { return int(h >> 19 & 3) }
func (h Header) protected() bool   { return h>>16&1 == 0 } // a CRC follows
func (h Header) bitrateIndex() int { return int(h >> 12 & 15) }

func (h Header) withBitrate(index int) Header { return h&^(15<<12) | Header(index)<<12 } //nolint:gosec // 1 to 14

// SampleRate returns the sample rate in Hz.
func (h Header) SampleRate() int { return rates[h.version()][h>>10&3] }

// Bitrate returns the bit rate of this frame in bit/s.
func (h Header) Bitrate() int {
	if h.version() == version1 {
		return bitrates1[h.bitrateIndex()] * 1000
	}
	return bitrates2[h.bitrateIndex()] * 1000
}

// Channels returns 1 or 2.
func (h Header) Channels() int {
	if h>>6&3 == 3 {
		return 1
	}
	return 2
}

// Samples returns how many samples of each channel a frame holds: 1152, or
// 576 at sample rates below 32 kHz.
func (h Header) Samples() int {
	if h.version() == version1 {
		return 1152
	}
	return 576
}

// Size returns the size of the frame in bytes, its head included.
func (h Header) Size() int { return h.Samples()/8*h.Bitrate()/h.SampleRate() + int(h>>9&1) }

// side returns the size of the side information in bytes.
func (h Header) side() int {
	switch {
	case h.version() == version1 && h.Channels() == 2:
		return 32
	case h.version() == version1 || h.Channels() == 2:
		return 17
	}
	return 9
}

// payload returns how many bytes of a frame are for main data, its own or
// that of later frames; negative where not even the side information fits.
func (h Header) payload() int { return h.Size() - headerBytes - h.side() }

// reach returns how many bytes before a frame its main data may begin.
func (h Header) reach() int {
	if h.version() == version1 {
		return 1<<9 - 1
	}
	return 1<<8 - 1
}

// same reports whether two frames can be in one stream.
func (h Header) same(o Header) bool {
	return h.version() == o.version() && h.SampleRate() == o.SampleRate() && h.Channels() == o.Channels()
}
