package media

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// How much of a file is looked at, in bytes: where a container says at once
// what it is, and where frames or packets have to be searched for. ffmpeg
// skips no more than that either.
const (
	sniffStart  = 512
	sniffWindow = 64 << 10
)

// sniff tells what a file of size bytes is, by its content alone. What no
// demuxer of the list reads is refused with a reason (fail.Invalid), and is
// never shown to a program. Other errors are those of at.
func sniff(at io.ReaderAt, size int64) (kind, error) {
	begin, told, err := skipTags(at, size)
	if err != nil {
		return kind{}, err
	}
	if told != nil {
		return *told, nil
	}
	start, err := window(at, size, begin, sniffStart)
	if err != nil {
		return kind{}, err
	}
	if k := byMagic(start); k != nil && (begin == 0 || k.tagged) {
		return *k, nil
	}
	if begin == 0 {
		if isMovie(start, size) {
			if string(start[4:8]) == "ftyp" && slices.Contains(pictureBrands, string(start[8:min(12, len(start))])) {
				return kind{}, ErrPicture
			}
			return movie, nil
		}
		if err := knownOther(start); err != nil {
			return kind{}, err
		}
	}
	w, err := window(at, size, begin, sniffWindow)
	if err != nil {
		return kind{}, err
	}
	if k, ok := bySearch(w, begin, begin+int64(len(w)) == size); ok {
		return k, nil
	}
	return kind{}, ErrNotMedia
}

// skipTags finds out where the content begins behind tags of ID3v2, which
// are found before sound of any kind; or what it is, where a tag tells.
func skipTags(at io.ReaderAt, size int64) (begin int64, _ *kind, err error) {
	const most = 8 // some programs add a tag and leave the old one
	for range most {
		b, err := window(at, size, begin, 10)
		if err != nil {
			return 0, nil, err
		}
		if matches(b, "ea3\x03??????") {
			return 0, &oma, nil
		}
		if len(b) < 10 || string(b[:3]) != "ID3" || b[3] == 0xFF || b[4] == 0xFF || (b[6]|b[7]|b[8]|b[9])&0x80 != 0 {
			return begin, nil, nil
		}
		begin += 10 + int64(b[6])<<21 + int64(b[7])<<14 + int64(b[8])<<7 + int64(b[9])
		if b[5]&0x10 != 0 { // a footer
			begin += 10
		}
		if begin >= size {
			return 0, nil, ErrCutShort
		}
	}
	return begin, nil, nil
}

// window reads n bytes, or fewer at the end of the file.
func window(at io.ReaderAt, size, from int64, n int64) ([]byte, error) {
	b := make([]byte, max(0, min(n, size-from)))
	got, err := at.ReadAt(b, from)
	if errors.Is(err, io.EOF) && got < len(b) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// isMovie reports whether a file that begins so may be of ISO/IEC 14496-12 or
// QuickTime. Only the media may be larger than what is there of the file.
func isMovie(start []byte, size int64) bool {
	if len(start) < 8 {
		return false
	}
	length := int64(start[0])<<24 | int64(start[1])<<16 | int64(start[2])<<8 | int64(start[3])
	switch string(start[4:8]) {
	case "moov", "mdat", "moof":
		return length >= 8 || length <= 1
	case "ftyp":
		return length >= 8 && length <= 64<<10 || length == 1
	case "free", "skip", "wide", "pnot", "uuid", "udta", "junk", "pict", "prfl":
		return length >= 8 && length <= size || length == 1
	}
	return false
}

// byMagic finds the kind that begins so; nil where there is none.
func byMagic(start []byte) *kind {
	for i := range kinds {
		for _, m := range kinds[i].magic {
			if matches(start, m) {
				return &kinds[i]
			}
		}
	}
	return nil
}

// knownOther is the reason to refuse what begins so, where there is a better
// one than that it is nothing known.
func knownOther(start []byte) error {
	for _, o := range others {
		for _, m := range o.magic {
			if matches(start, m) {
				return o.reason
			}
		}
	}
	text := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(start, []byte("\xEF\xBB\xBF")), " \t\r\n"))
	for _, p := range playlists {
		if bytes.HasPrefix(text, []byte(p)) {
			return ErrPlaylist
		}
	}
	if bytes.HasPrefix(text, []byte("<")) && (bytes.Contains(text, []byte("<mpd")) || bytes.Contains(text, []byte("<smil"))) {
		return ErrPlaylist
	}
	return nil
}

// matches reports whether a file begins with a pattern, in which "?" stands
// for any byte.
func matches(start []byte, pattern string) bool {
	if len(start) < len(pattern) {
		return false
	}
	for i := range len(pattern) {
		if pattern[i] != '?' && pattern[i] != start[i] {
			return false
		}
	}
	return true
}
