package media

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// ending is how a file ends, judged by its structure.
type ending int

const (
	endsWhole  ending = iota // or nobody can tell
	endsOddly                // something is missing: compare the length of the sound
	endsBroken               // so much is missing that it is not worth a try
)

// endOf compares a file with the sizes in its own headers. It knows the
// containers for which ffmpeg notices nothing, or late: MP4 and its kin,
// Matroska, AVI and WAV, FLV. It reads a few headers only. The fragments of a
// stream are not among them: they are looked at when they pass (see tally).
func endOf(in *Input, container string) (e ending, err error) {
	size, err := in.length()
	if err != nil {
		return endsWhole, err
	}
	at := in.at
	switch {
	case in.movie != nil && in.movie.Fragmented():
	case strings.HasPrefix(container, "mov,"):
		e, err = endOfBoxes(at, size)
	case strings.HasPrefix(container, "matroska"):
		e, err = endOfSegment(at, size)
	case container == "avi" || container == "wav":
		e, err = endOfRIFF(at, size)
	case container == "flv":
		e, err = endOfFLV(at, size)
	}
	if errors.Is(err, io.EOF) { // shorter than its first headers
		return endsOddly, nil
	}
	return e, err
}

// missing judges a file of size bytes that says it has more. Some writers are
// a few bytes wrong.
func missing(said, size int64) ending {
	switch {
	case said-size > said/50:
		return endsBroken
	case said > size:
		return endsOddly
	}
	return endsWhole
}

// endOfBoxes walks the top-level boxes of ISO/IEC 14496-12, 4.2: a size and a
// type, 32 bits each; size 1 means a 64-bit size after them, 0 the rest of
// the file. In a file of fragments the index goes with what is missing, so
// that the length of the sound tells nothing.
func endOfBoxes(in io.ReaderAt, size int64) (ending, error) {
	const maxBoxes = 100_000 // fragments of a long recording
	var head [16]byte
	at, fragments := int64(0), false
	for range maxBoxes {
		if at+8 > size {
			return endsWhole, nil // or a few stray bytes
		}
		n, err := in.ReadAt(head[:], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return endsWhole, err
		}
		length, header := int64(binary.BigEndian.Uint32(head[:4])), int64(8)
		if length == 1 && n == 16 {
			length, header = int64(binary.BigEndian.Uint64(head[8:])), 16
		}
		if length < header || !isBoxType(head[4:8]) {
			return endsWhole, nil // the rest of the file, or something appended to it
		}
		fragments = fragments || string(head[4:8]) == "moof"
		if length > size-at {
			if fragments {
				return endsBroken, nil
			}
			return missing(max(at+length, length), size), nil
		}
		at += length
	}
	return endsWhole, nil
}

func isBoxType(b []byte) bool {
	for _, c := range b {
		if c != 0xA9 && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

// endOfSegment compares the size of a Matroska segment (RFC 8794, 4 and
// RFC 9559, 5.1) with that of the file. One that was recorded live has none.
func endOfSegment(in io.ReaderAt, size int64) (ending, error) {
	at := int64(0)
	for range 8 { // the EBML header, perhaps something void, the segment
		var head [12]byte
		if _, err := in.ReadAt(head[:], at); err != nil {
			return endsWhole, err
		}
		if head[0]&0xF0 != 0x10 { // not an id of four bytes
			return endsWhole, nil
		}
		length, n := vint(head[4:])
		if length < 0 {
			return endsWhole, nil
		}
		at += 4 + n + length
		if at < 0 || at > size || binary.BigEndian.Uint32(head[:4]) == 0x18538067 {
			return missing(at, size), nil
		}
	}
	return endsWhole, nil
}

// vint reads a variable-size integer of EBML and says how long it is; -1
// where the size is unknown.
func vint(b []byte) (value, n int64) {
	for n = 1; n <= 8 && b[0]&(0x80>>(n-1)) == 0; n++ {
	}
	if n > 8 {
		return -1, n
	}
	value = int64(b[0]) & (0x80>>(n-1) - 1)
	for _, c := range b[1:n] {
		value = value<<8 | int64(c)
	}
	if value == 1<<(7*n)-1 {
		return -1, n
	}
	return value, n
}

// endOfRIFF compares the size in the first RIFF header with that of the file.
// Recorders that cannot seek write 0 or a size near 2^31 or 2^32.
func endOfRIFF(in io.ReaderAt, size int64) (ending, error) {
	var head [8]byte
	if _, err := in.ReadAt(head[:], 0); err != nil {
		return endsWhole, err
	}
	said := int64(binary.LittleEndian.Uint32(head[4:])) + 8
	if string(head[:4]) != "RIFF" || said >= 0x7FFF_0000 {
		return endsWhole, nil
	}
	return missing(said, size), nil
}

// endOfFLV checks that the file ends with a whole tag: after each comes its
// size, header of 11 bytes included (Adobe FLV 10.1, E.3 and E.4.1).
func endOfFLV(in io.ReaderAt, size int64) (ending, error) {
	var last [4]byte
	var head [11]byte
	if size < 13+11+4 {
		return endsOddly, nil
	}
	if _, err := in.ReadAt(last[:], size-4); err != nil {
		return endsWhole, err
	}
	length := int64(binary.BigEndian.Uint32(last[:]))
	if length < 11 || length > size-13-4 {
		return endsOddly, nil
	}
	if _, err := in.ReadAt(head[:], size-4-length); err != nil {
		return endsWhole, err
	}
	if body := int64(head[1])<<16 | int64(head[2])<<8 | int64(head[3]); body != length-11 {
		return endsOddly, nil
	}
	return endsWhole, nil
}
