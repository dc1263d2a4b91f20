package mp4

import (
	"encoding/binary"
	"math"
)

// table is a list of numbers in a box.
type table struct {
	data []byte
	bits int // of each: 4, 8, 16, 32 or 64
}

func (t table) len() int {
	if t.bits == 0 { // the zero table
		return 0
	}
	return len(t.data) * 8 / t.bits
}

func (t table) at(n int) uint64 {
	switch t.bits {
	case 4:
		return uint64(t.data[n/2] >> (4 * (1 - n%2)) & 15)
	case 8:
		return uint64(t.data[n])
	case 16:
		return uint64(binary.BigEndian.Uint16(t.data[2*n:]))
	case 32:
		return uint64(binary.BigEndian.Uint32(t.data[4*n:]))
	}
	return binary.BigEndian.Uint64(t.data[8*n:])
}

// put sets an entry of 32 or 64 bits.
func (t table) put(n int, v int64) {
	if t.bits == 32 {
		binary.BigEndian.PutUint32(t.data[4*n:], uint32(v))
		return
	}
	binary.BigEndian.PutUint64(t.data[8*n:], uint64(v))
}

// listed returns the table of a full box whose count is at an offset in its
// body, with the entries after it, each of so many bits.
func listed(body []byte, offset, bits int) (table, bool) {
	if len(body) < offset+4 {
		return table{}, false
	}
	count, rest := uint64(binary.BigEndian.Uint32(body[offset:])), body[offset+4:]
	need := (count*uint64(bits) + 7) / 8
	if need > uint64(len(rest)) {
		return table{}, false
	}
	return table{data: rest[:need], bits: bits}, true
}

// sizes are those of the samples of a track: of each, or one for all.
type sizes struct {
	each  table
	all   int64
	count int64
}

// readSizes reads the box stsz, or stz2 (8.7.3).
func readSizes(stbl []byte) (sizes, bool) {
	if b := child(stbl, "stsz"); len(b) >= 12 {
		if all := binary.BigEndian.Uint32(b[4:]); all != 0 {
			return sizes{all: int64(all), count: int64(binary.BigEndian.Uint32(b[8:]))}, true
		}
		each, ok := listed(b, 8, 32)
		return sizes{each: each, count: int64(each.len())}, ok
	}
	b := child(stbl, "stz2")
	if len(b) < 12 {
		return sizes{}, false
	}
	bits := int(b[7])
	if bits != 4 && bits != 8 && bits != 16 {
		return sizes{}, false
	}
	each, ok := listed(b, 8, bits)
	return sizes{each: each, count: int64(binary.BigEndian.Uint32(b[8:]))}, ok
}

// sum returns the bytes of so many samples, at most math.MaxInt64.
func (s sizes) sum(first, count int64) int64 {
	if s.all > 0 {
		if count > math.MaxInt64/s.all {
			return math.MaxInt64
		}
		return count * s.all
	}
	total := int64(0)
	for n := first; n < first+count; n++ {
		total += int64(s.each.at(int(n)))
	}
	return total
}

// readOffsets reads the box stco, or co64 (8.7.5).
func readOffsets(stbl []byte) (table, bool) {
	if b := child(stbl, "stco"); b != nil {
		return listed(b, 4, 32)
	}
	return listed(child(stbl, "co64"), 4, 64)
}

// readRuns reads the box stsc (8.7.4): from which chunk on, how many samples
// each has. It is checked here: chunks count from 1 and grow, none is empty.
func readRuns(stbl []byte) (table, bool) {
	runs, ok := listed(child(stbl, "stsc"), 4, 96)
	if !ok {
		return table{}, false
	}
	runs.bits = 32
	last := uint64(0)
	for n := 0; n < runs.len(); n += 3 {
		first := runs.at(n)
		if n == 0 && first != 1 || first <= last || runs.at(n+1) == 0 {
			return table{}, false
		}
		last = first
	}
	return runs, true
}
