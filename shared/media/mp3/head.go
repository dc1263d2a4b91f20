package mp3

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Where things are in the header frame, from the end of its side information.
const (
	xingFlags  = 4
	xingFrames = 8
	xingBytes  = 12
	xingTable  = 16
	xingVBR    = 116
	lameTag    = 120
	lameMethod = lameTag + 9
	lameLow    = lameTag + 10
	lameDelay  = lameTag + 21
	lameLength = lameTag + 28
	lameMusic  = lameTag + 32
	lameCRC    = lameTag + 34
	headBytes  = lameTag + 36
)

// allFields flags frames, bytes, seek table and quality as present.
const allFields = 15

// DecoderDelay is what a decoder adds at the beginning, in samples: LAME's
// delay and padding do not count it, and players do.
const DecoderDelay = 529

// Details are what a header frame tells beside what the stream itself shows.
type Details struct {
	Delay   int   // samples that the encoder put before the sound, 0 to 4095
	Samples int64 // of the sound, for each channel
	Encoder string
	VBR     bool // the encoder varied the bit rate by itself
	Quality int  // of VBR: 0 the best to 9; -1 for a fixed bit rate
	Lowpass int  // in Hz; 0 unknown
}

// headHeader is that of the header frame of a stream whose first frame has h:
// the same, with the lowest bit rate from there on at which all fits.
func headHeader(h Header) Header {
	h &^= 1<<9 | 3<<4 // no padding, no joint stereo
	for h.Size() < headerBytes+h.side()+headBytes && h.bitrateIndex() < topBitrate {
		h = h.withBitrate(h.bitrateIndex() + 1)
	}
	return h
}

// HeadSize returns how many bytes the header frame takes in front of a stream
// whose first frame has this header.
func (h Header) HeadSize() int { return headHeader(h).Size() }

// Head makes the header frame, HeadSize bytes, to stand before all others.
// ErrFormat where the frames cannot hold the samples.
func (s Stream) Head(d Details) ([]byte, error) {
	h := headHeader(s.Header)
	padding := int64(s.Frames)*int64(h.Samples()) - int64(d.Delay) - d.Samples
	if s.Frames == 0 || padding < 0 || padding > 4095 || d.Delay < 0 || d.Delay > 4095 {
		return nil, fmt.Errorf("%w: %d samples in %d frames", ErrFormat, d.Samples, s.Frames)
	}
	p := make([]byte, h.Size())
	binary.BigEndian.PutUint32(p, uint32(h))
	x := p[headerBytes+h.side():]
	total := s.Bytes + int64(len(p))
	s.describe(x, d, total, len(p))
	x[lameDelay] = byte(d.Delay >> 4)
	x[lameDelay+1] = byte(d.Delay<<4) | byte(padding>>8)
	x[lameDelay+2] = byte(padding)
	binary.BigEndian.PutUint16(x[lameMusic:], s.crc)
	at := headerBytes + h.side() + lameCRC
	binary.BigEndian.PutUint16(p[at:], crc16(0, p[:at]))
	return p, nil
}

// describe fills in the fields of Xing's header and the first of LAME's.
func (s Stream) describe(x []byte, d Details, total int64, head int) {
	copy(x, "Info")
	method := byte(1) // CBR
	if d.VBR {
		method = 4
	}
	if s.varies || d.VBR {
		copy(x, "Xing")
	}
	binary.BigEndian.PutUint32(x[xingFlags:], allFields)
	binary.BigEndian.PutUint32(x[xingFrames:], uint32(s.Frames)) //nolint:gosec // 12 h have 1.7 million
	binary.BigEndian.PutUint32(x[xingBytes:], uint32(total))     //nolint:gosec // 4 GiB are 29 h at 320 kbit/s
	binary.BigEndian.PutUint32(x[lameLength:], uint32(total))    //nolint:gosec // likewise
	for i := range 100 {
		x[xingTable+i] = byte(min(255, 256*(int64(head)+s.places.of(float64(i)/100))/total)) //nolint:gosec // at most 255
	}
	if d.Quality >= 0 {
		binary.BigEndian.PutUint32(x[xingVBR:], uint32(100-10*min(d.Quality, 9))) //nolint:gosec // 10 to 100
	}
	copy(x[lameTag:lameTag+9], d.Encoder)
	x[lameMethod] = method
	x[lameLow] = byte(min(255, d.Lowpass/100))              //nolint:gosec // at most 255
	x[lameTag+20] = byte(min(255, s.Header.Bitrate()/1000)) //nolint:gosec // likewise
}

// Info is what the header frame of a finished file tells.
type Info struct {
	SampleRate int // in Hz
	Channels   int // 1 or 2
	Frames     int
	Samples    int64 // of each channel, without what the encoder added
	Bytes      int64 // from the header frame to the end
}

// Duration returns how long the sound is; zero for the zero Info.
func (i Info) Duration() time.Duration {
	if i.SampleRate == 0 {
		return 0
	}
	return time.Duration(i.Samples) * time.Second / time.Duration(i.SampleRate)
}

// ErrNoHead means that a file does not begin with a header frame.
var ErrNoHead = fmt.Errorf("%w: no Xing header at the beginning", ErrFormat)

// ForgetDelay removes what the header frame of a file tells of the encoder, its
// delay and padding above all, so that players play every sample. A file
// without header frame is left as it is.
func ForgetDelay(f interface {
	io.ReaderAt
	io.WriterAt
}) error {
	_, at, err := findHead(f)
	if errors.Is(err, ErrNoHead) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, headBytes-lameTag), at+lameTag)
	return err
}

// ReadInfo reads the header frame behind the ID3v2 tag, if there is one.
func ReadInfo(r io.ReaderAt) (Info, error) {
	h, at, err := findHead(r)
	if err != nil {
		return Info{}, err
	}
	x := make([]byte, headBytes)
	if n, err := r.ReadAt(x, at); n < len(x) && !errors.Is(err, io.EOF) {
		return Info{}, errors.Join(ErrNoHead, err)
	}
	if x[xingFlags+3]&3 != 3 {
		return Info{}, ErrNoHead
	}
	i := Info{
		SampleRate: h.SampleRate(), Channels: h.Channels(),
		Frames: int(binary.BigEndian.Uint32(x[xingFrames:])), Bytes: int64(binary.BigEndian.Uint32(x[xingBytes:])),
	}
	delay := int64(x[lameDelay])<<4 | int64(x[lameDelay+1])>>4
	padding := int64(x[lameDelay+1]&15)<<8 | int64(x[lameDelay+2])
	i.Samples = max(0, int64(i.Frames)*int64(h.Samples())-delay-padding)
	return i, nil
}

// findHead finds the header frame: its header, and where Xing's part of it
// begins.
func findHead(r io.ReaderAt) (h Header, at int64, err error) {
	var b [10]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return 0, 0, errors.Join(ErrNoHead, err)
	}
	if string(b[:3]) == "ID3" {
		at = 10 + int64(b[6]&0x7F)<<21 + int64(b[7]&0x7F)<<14 + int64(b[8]&0x7F)<<7 + int64(b[9]&0x7F)
	}
	if n, err := r.ReadAt(b[:headerBytes], at); n < headerBytes {
		return 0, 0, errors.Join(ErrNoHead, err)
	}
	h, ok := ParseHeader(b[:headerBytes])
	if !ok {
		return 0, 0, ErrNoHead
	}
	at += int64(headerBytes + h.side())
	if n, err := r.ReadAt(b[:4], at); n < 4 {
		return 0, 0, errors.Join(ErrNoHead, err)
	}
	if name := string(b[:4]); name != "Xing" && name != "Info" {
		return 0, 0, ErrNoHead
	}
	return h, at, nil
}
