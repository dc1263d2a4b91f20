package media

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
)

// endsEarly reports whether a file ends before its own structure says that it
// does. It knows the containers for which ffmpeg says nothing of it: MP4 and
// its kin, AVI and WAV, FLV. It reads a few headers only.
func endsEarly(in *os.File, container string) (bool, error) {
	st, err := in.Stat()
	if err != nil {
		return false, err
	}
	switch size := st.Size(); {
	case strings.HasPrefix(container, "mov,"):
		return boxesEndEarly(in, size)
	case container == "avi" || container == "wav":
		return riffEndsEarly(in, size)
	case container == "flv":
		return flvEndsEarly(in, size)
	}
	return false, nil
}

// boxesEndEarly walks the top-level boxes of ISO/IEC 14496-12, 4.2: a size
// and a type, 32 bits each; size 1 means a 64-bit size after them, 0 the rest
// of the file.
func boxesEndEarly(in io.ReaderAt, size int64) (bool, error) {
	const maxBoxes = 100_000 // fragments of a long recording
	var head [16]byte
	at := int64(0)
	for range maxBoxes {
		if at+8 > size {
			return false, nil // the end, or a few stray bytes at it
		}
		n, err := in.ReadAt(head[:], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		length := int64(binary.BigEndian.Uint32(head[:4]))
		switch {
		case length == 0:
			return false, nil
		case length == 1 && n == 16:
			length = int64(binary.BigEndian.Uint64(head[8:]))
		}
		if length < 8 {
			return false, nil // no box: something else was appended
		}
		if length > size-at {
			return true, nil
		}
		at += length
	}
	return false, nil
}

// riffEndsEarly compares the size in the first RIFF header with that of the
// file. Recorders that cannot seek write 0 or a size near 2^31 or 2^32.
func riffEndsEarly(in io.ReaderAt, size int64) (bool, error) {
	var head [8]byte
	if _, err := in.ReadAt(head[:], 0); err != nil {
		return false, err
	}
	said := int64(binary.LittleEndian.Uint32(head[4:])) + 8
	if string(head[:4]) != "RIFF" || said >= 0x7FFF_0000 {
		return false, nil
	}
	return said-size > said/50, nil // a few bytes less is the habit of some writers
}

// flvEndsEarly checks that the file ends with a whole tag: after each comes
// its size, header of 11 bytes included (Adobe FLV 10.1, E.3 and E.4.1).
func flvEndsEarly(in io.ReaderAt, size int64) (bool, error) {
	var last [4]byte
	var head [11]byte
	if size < 13+11+4 {
		return true, nil
	}
	if _, err := in.ReadAt(last[:], size-4); err != nil {
		return false, err
	}
	length := int64(binary.BigEndian.Uint32(last[:]))
	if length < 11 || length > size-13-4 {
		return true, nil
	}
	if _, err := in.ReadAt(head[:], size-4-length); err != nil {
		return false, err
	}
	body := int64(head[1])<<16 | int64(head[2])<<8 | int64(head[3])
	return body != length-11, nil
}
