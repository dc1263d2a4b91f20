package mp3

import "io"

// Stream describes the frames that a Joiner has written.
type Stream struct {
	Header Header // of the first frame
	Frames int
	Bytes  int64
	Raised int // frames whose bit rate was raised to fill the reservoir

	varies bool   // not all frames have one bit rate
	crc    uint16 // of all bytes
	places places
}

// meter counts what is written, frame by frame.
type meter struct {
	w      io.Writer
	stream Stream
	places places
	rate   int
}

// Write takes whole frames, one at a time.
func (m *meter) Write(frame []byte) (int, error) {
	h, _ := ParseHeader(frame)
	if m.stream.Frames > 0 && h.Bitrate() != m.rate {
		m.stream.varies = true
	}
	m.rate = h.Bitrate()
	m.places.note(m.stream.Bytes)
	m.stream.Frames++
	m.stream.Bytes += int64(len(frame))
	m.stream.crc = crc16(m.stream.crc, frame)
	return m.w.Write(frame)
}

// places remembers where frames begin: all of them, or one of every 2, 4, 8…
// once there are many.
type places struct {
	at    []int64
	every int
	seen  int
}

// maxPlaces is how many are remembered; a seek table has 100.
const maxPlaces = 8192

func (p *places) note(at int64) {
	if p.every == 0 {
		p.every = 1
	}
	if p.seen%p.every == 0 {
		if len(p.at) == maxPlaces {
			for i := range maxPlaces / 2 {
				p.at[i] = p.at[2*i]
			}
			p.at = p.at[:maxPlaces/2]
			p.every *= 2
		}
		if p.seen%p.every == 0 {
			p.at = append(p.at, at)
		}
	}
	p.seen++
}

// of returns where the part of all frames begins: 0 the first, 1 the end.
func (p *places) of(part float64) int64 {
	if len(p.at) == 0 {
		return 0
	}
	i := int(part * float64(p.seen) / float64(p.every))
	return p.at[min(i, len(p.at)-1)]
}

// crcTables are those of CRC-16/ARC, which LAME's tag uses: x^16+x^15+x^2+1, the
// lowest bit first. Table n is for a byte with n bytes behind it, so that eight
// are taken at once ("slicing by 8": Kounavis and Berry, 2005).
var crcTables = func() (t [8][256]uint16) {
	for i := range t[0] {
		c := uint16(i) //nolint:gosec // below 256
		for range 8 {
			if c&1 != 0 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
		t[0][i] = c
	}
	for n := 1; n < len(t); n++ {
		for i, c := range t[n-1] {
			t[n][i] = c>>8 ^ t[0][byte(c)]
		}
	}
	return t
}()

func crc16(c uint16, p []byte) uint16 {
	t := &crcTables
	for ; len(p) >= 8; p = p[8:] {
		c = t[7][p[0]^byte(c)] ^ t[6][p[1]^byte(c>>8)] ^ t[5][p[2]] ^ t[4][p[3]] ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]]
	}
	for _, b := range p {
		c = c>>8 ^ t[0][byte(c)^b]
	}
	return c
}
