package mp4

import (
	"encoding/binary"
	"errors"
	"io"
	"iter"
)

// span is a part of the source: a box with its header.
type span struct{ start, end int64 }

func (s span) size() int64 { return s.end - s.start }

// layout is what the top level of a file has up to its moov.
type layout struct {
	ftyp, moov span
	mediaFirst bool    // mdat or moof are before moov
	ends       []int64 // of the boxes
}

// survey walks the top-level boxes until it has found moov (ISO/IEC 14496-12,
// 4.2: a size and a type, 32 bits each; size 1 means a 64-bit size after
// them, 0 the rest of the file).
func survey(src io.ReaderAt, size int64) (layout, error) {
	var l layout
	at := int64(0)
	for range maxBoxes {
		var head [16]byte
		n := int(min(16, max(0, size-at)))
		if n < 8 {
			break
		}
		if got, err := src.ReadAt(head[:n], at); got < n {
			return l, unexpected(err)
		}
		length, kind := int64(binary.BigEndian.Uint32(head[:4])), string(head[4:8])
		switch {
		case length == 1 && n == 16:
			length = int64(binary.BigEndian.Uint64(head[8:]))
		case length == 0:
			length = size - at
		}
		if length < 8 {
			break
		}
		b := span{at, at + min(length, size-at)}
		switch kind {
		case "ftyp":
			if l.ftyp.end == 0 {
				l.ftyp = b
			}
		case "mdat", "moof":
			l.mediaFirst = true
		case "moov":
			if length > size-at {
				return l, ErrNoIndex
			}
			l.moov = b
			return l, nil
		}
		l.ends = append(l.ends, b.end)
		if at = b.end; at >= size {
			break
		}
	}
	if l.mediaFirst || l.ftyp.end > 0 {
		return l, ErrNoIndex
	}
	return l, unfit("no box of media")
}

// read returns a part of the source, none for the zero span.
func read(src io.ReaderAt, s span) ([]byte, error) {
	b := make([]byte, s.size())
	if n, err := src.ReadAt(b, s.start); n < len(b) {
		return nil, unexpected(err)
	}
	return b, nil
}

// unexpected makes the end of a source that said it is longer an error that
// is not taken for the end of the stream.
func unexpected(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// box is one in memory.
type box struct {
	kind  string
	whole []byte
	body  []byte
}

// children yields the boxes in the body of another. What is too short or too
// long for a box ends it, as it does for ffmpeg.
func children(body []byte) iter.Seq[box] {
	return func(yield func(box) bool) {
		for len(body) >= 8 {
			length, header := uint64(binary.BigEndian.Uint32(body)), 8
			switch {
			case length == 0:
				length = uint64(len(body))
			case length == 1 && len(body) >= 16:
				length, header = binary.BigEndian.Uint64(body[8:]), 16
			}
			if length < uint64(header) || length > uint64(len(body)) {
				return
			}
			if !yield(box{kind: string(body[4:8]), whole: body[:length], body: body[header:length]}) {
				return
			}
			body = body[length:]
		}
	}
}

// child returns the body of the first box of a path of kinds; nil where there
// is none.
func child(body []byte, path ...string) []byte {
	for _, kind := range path {
		var found []byte
		for b := range children(body) {
			if b.kind == kind {
				found = b.body
				break
			}
		}
		if body = found; body == nil {
			return nil
		}
	}
	return body
}
