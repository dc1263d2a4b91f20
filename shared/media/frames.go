package media

import "bytes"

// searched are the kinds without a beginning of their own: packets or frames
// that follow one another, or what may have something else before it.
var searched = []kind{
	{demuxer: "mpegts", sequential: true},
	{demuxer: "mpeg", sequential: true},
	{demuxer: "mxf"},
	{demuxer: "mp3", sequential: true},
	{demuxer: "aac", sequential: true},
	{demuxer: "loas"},
	{demuxer: "ac3", sequential: true},
	{demuxer: "eac3", sequential: true},
}

// bySearch looks for packets and frames in the first bytes behind tags; ends
// tells that the file ends with them.
func bySearch(w []byte, begin int64, ends bool) (kind, bool) {
	which := func(demuxer string, unsure bool) (kind, bool) {
		for _, k := range searched {
			if k.demuxer == demuxer {
				k.unsure = unsure
				return k, true
			}
		}
		return kind{}, false
	}
	if begin == 0 {
		switch {
		case isTransport(w):
			return which("mpegts", false)
		case isProgram(w):
			return which("mpeg", false)
		case bytes.Contains(w, []byte(mxfPartition)):
			return which("mxf", false)
		}
	}
	best, most := "", 0
	for at := 0; at+8 < len(w) && most < certain; at++ {
		if w[at] != 0xFF && w[at] != 0x0B && w[at] != 0x56 {
			continue
		}
		for _, f := range frames {
			if n := f.chain(w, at, ends && (at == 0 || begin > 0)); n > most {
				best, most = f.demuxer, n
			}
		}
	}
	if most < few {
		return kind{}, false
	}
	return which(best, most < certain)
}

// So many frames in a row are no chance, and so many may be one.
const (
	certain = 6
	few     = 3
)

// frameKind reads the header of a frame: its length in bytes, zero where it
// is none, and what is the same in all of them.
type frameKind struct {
	demuxer string
	header  func(b []byte) (length int, same uint32)
}

var frames = []frameKind{{"mp3", mpegFrame}, {"aac", adtsFrame}, {"loas", loasFrame}, {"ac3", ac3Frame}, {"eac3", eac3Frame}}

// chain counts the frames that follow one another from a place on. All that
// a file has is enough, if there is one frame and it ends with it.
func (f frameKind) chain(w []byte, at int, ends bool) (n int) {
	first := uint32(0)
	for ; n < certain && at+8 <= len(w); n++ {
		length, same := f.header(w[at:])
		if length == 0 || n > 0 && same != first {
			return n
		}
		first = same
		at += length
	}
	if ends && n > 0 && at+8 > len(w) {
		return max(n, few)
	}
	return n
}

// mpegFrame reads a header of ISO/IEC 11172-3 2.4.1.3 or 13818-3.
func mpegFrame(b []byte) (int, uint32) {
	version, layer := b[1]>>3&3, 4-int(b[1]>>1&3)
	bits, rate := int(b[2]>>4), int(b[2]>>2&3)
	if b[0] != 0xFF || b[1]&0xE0 != 0xE0 || version == 1 || layer == 4 || bits == 0 || bits == 15 || rate == 3 {
		return 0, 0
	}
	low := version != 3
	hz := []int{44100, 48000, 32000}[rate]
	switch version {
	case 2:
		hz /= 2
	case 0:
		hz /= 4
	}
	kbit, padding := mpegBitrate(low, layer, bits), int(b[2]>>1&1)
	same := uint32(b[1]&0xFE)<<8 | uint32(b[2]&0x0C)
	switch {
	case layer == 1:
		return (12000*kbit/hz + padding) * 4, same
	case layer == 3 && low:
		return 72000*kbit/hz + padding, same
	}
	return 144000*kbit/hz + padding, same
}

// mpegBitrate is the table of ISO/IEC 11172-3 2.4.2.3 and 13818-3 2.4.2.3.
func mpegBitrate(low bool, layer, index int) int {
	switch {
	case low && layer == 1:
		return []int{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256}[index]
	case low:
		return []int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}[index]
	case layer == 1:
		return 32 * index
	case layer == 2:
		return []int{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384}[index]
	}
	return []int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}[index]
}

// adtsFrame reads a header of ISO/IEC 13818-7, 6.2.
func adtsFrame(b []byte) (int, uint32) {
	length := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	if b[0] != 0xFF || b[1]&0xF6 != 0xF0 || b[2]>>2&15 > 12 || length < 7 {
		return 0, 0
	}
	return length, uint32(b[1])<<8 | uint32(b[2]&0xFC)
}

// loasFrame reads AudioSyncStream of ISO/IEC 14496-3, 1.7.2.
func loasFrame(b []byte) (int, uint32) {
	length := int(b[1]&0x1F)<<8 | int(b[2])
	if b[0] != 0x56 || b[1]&0xE0 != 0xE0 || length == 0 {
		return 0, 0
	}
	return 3 + length, 0
}

// ac3Frame reads syncinfo of ETSI TS 102 366, 4.4.1, with the sizes of its
// table 4.13.
func ac3Frame(b []byte) (int, uint32) {
	code, size := int(b[4]>>6), int(b[4]&0x3F)
	if b[0] != 0x0B || b[1] != 0x77 || b[5]>>3 > 10 || code == 3 || size > 37 {
		return 0, 0
	}
	kbit := []int{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640}[size/2]
	switch code {
	case 0:
		return 4 * kbit, uint32(code)
	case 1:
		return 2 * (kbit*96000/44100 + size&1), uint32(code)
	}
	return 6 * kbit, uint32(code)
}

// eac3Frame reads syncinfo and bsi of ETSI TS 102 366, E.1.2.
func eac3Frame(b []byte) (int, uint32) {
	if b[0] != 0x0B || b[1] != 0x77 || b[5]>>3 < 11 || b[5]>>3 > 16 || b[2]>>6 == 3 {
		return 0, 0
	}
	return 2 * (1 + int(b[2]&7)<<8 + int(b[3])), 0
}

// isTransport looks for packets of MPEG-2 (188 bytes, 192 with a time before
// them, 204 with a checksum behind): the sync byte of eight in a row, or of all
// that are there from the beginning.
func isTransport(w []byte) bool {
	for _, size := range []int{188, 192, 204} {
		for at := range min(len(w), sniffWindow/2) {
			n := 0
			for next := at; n < 8 && next < len(w) && w[next] == 0x47; next += size {
				n++
			}
			if n == 8 || n >= 2 && at <= 4 && at+n*size >= len(w) {
				return true
			}
		}
	}
	return false
}

// isProgram looks for two packs of MPEG-1 or MPEG-2 systems in what does not
// begin with one: a recording that was cut, the sectors of a Video CD.
func isProgram(w []byte) bool {
	n := 0
	for at := 0; at+5 <= len(w); at += 4 {
		next := bytes.Index(w[at:], []byte("\x00\x00\x01\xBA"))
		if next < 0 || at+next+5 > len(w) {
			return false
		}
		at += next
		if b := w[at+4]; b&0xC0 == 0x40 || b&0xF0 == 0x20 {
			n++
		}
		if n == 2 {
			return true
		}
	}
	return false
}
