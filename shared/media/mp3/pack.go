package mp3

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrReservoir means that a frame needs more bits than its own frame and the
// reservoir before it have, even at the highest bit rate.
var ErrReservoir = errors.New("the bit reservoir is too small for a frame")

// packer lays frames out: the main data of each follows that of the one
// before as closely as the format allows, so that the reservoir is as full as
// it can be. Where it is too empty for a frame, as it may be behind a joint,
// that frame gets the next bit rate that makes room. Offsets count bytes of
// main data from the start of the stream.
type packer struct {
	w      io.Writer
	slots  []slot // not yet written: there is still room for later frames in them
	end    int64  // of the last slot
	filled int64  // how far there is data
	raised int    // frames that got a higher bit rate
}

// slot is a frame of the stream that is being laid out.
type slot struct {
	raw  []byte // whole, head included
	body []byte // the part for main data
	from int64
}

// begin is where the main data of a frame with this header would begin.
func (p *packer) begin(h Header) int64 { return max(p.filled, p.end-int64(h.reach())) }

// add lays out one frame.
func (p *packer) add(f Frame) error {
	h, begin := f.Header, p.begin(f.Header)
	for begin+int64(len(f.data)) > p.end+int64(h.payload()) {
		if h.bitrateIndex() >= topBitrate {
			return fmt.Errorf("%w: %d bytes", ErrReservoir, len(f.data))
		}
		h = h.withBitrate(h.bitrateIndex() + 1)
	}
	if h != f.Header {
		p.raised++
	}
	raw := make([]byte, h.Size())
	binary.BigEndian.PutUint32(raw, uint32(h))
	side := raw[headerBytes : headerBytes+h.side()]
	copy(side, f.side)
	setBegin(h, side, int(p.end-begin))
	p.slots = append(p.slots, slot{raw: raw, body: raw[headerBytes+h.side():], from: p.end})
	p.end += int64(h.payload())
	p.fill(begin, f.data)
	p.filled = begin + int64(len(f.data))
	return p.write(p.end - int64(h.reach()))
}

// fill copies main data to its place, which may span several slots.
func (p *packer) fill(at int64, data []byte) {
	for i := range p.slots {
		s := &p.slots[i]
		if len(data) == 0 {
			return
		}
		if off := at - s.from; off >= 0 && off < int64(len(s.body)) {
			n := copy(s.body[off:], data)
			data, at = data[n:], at+int64(n)
		}
	}
}

// write writes the slots that end at or before an offset, where no later frame
// can begin.
func (p *packer) write(before int64) error {
	done := 0
	for _, s := range p.slots {
		if s.from+int64(len(s.body)) > max(before, p.filled) {
			break
		}
		if _, err := p.w.Write(s.raw); err != nil {
			return err
		}
		done++
	}
	p.slots = append(p.slots[:0], p.slots[done:]...)
	return nil
}

// flush writes what is left.
func (p *packer) flush() error { return p.write(p.end) }
