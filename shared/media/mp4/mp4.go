// Package mp4 makes a file of ISO/IEC 14496-12 (mp4, mov, m4a, 3gp)
// readable from front to back: its index comes first, then what the index
// names in the order of the file, and nothing else. It reads the source by
// range. Of what it leaves out, not a byte is read.
package mp4

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// Bounds of what is taken; anything beyond is ErrNotStreamable.
const (
	maxIndex  = 64 << 20 // bytes of moov: some twenty hours of video
	maxHeader = 64 << 10 // bytes of ftyp
	maxBoxes  = 10_000   // on the top level before moov
	maxTracks = 64       // kept
	maxChunks = 4 << 20  // of the tracks kept; of all, where sizes are found by comparing them
)

var (
	// ErrNotStreamable means that the file has to be read with seeks: it
	// plays its parts in another order than they are in, keeps its media in
	// other files, has an index too large or of a kind unknown here, or is no
	// file of this kind at all.
	ErrNotStreamable = errors.New("mp4: cannot be read front to back")
	// ErrNoIndex means that the file has media but no index (moov): most
	// likely its end is missing. Nobody can read it.
	ErrNoIndex = errors.New("mp4: there is no index")
)

// Keep says what of a file goes into a stream.
type Keep int

// What can be kept.
const (
	Sound Keep = iota // the sound tracks, or all tracks of a file without any
	All               // every track
)

// Stream is a file laid out for reading from front to back.
type Stream struct {
	src    io.ReaderAt
	size   int64   // of the source
	head   []byte  // ftyp, moov, the header of mdat; nil where the source is taken as it is
	tracks []track // kept
	length int64
}

// Open reads the index of a file of size bytes. It asks src for the headers
// of the top-level boxes and for the moov box, nothing else but the text of
// chapters; its memory is a small multiple of the size of moov. Errors are
// ErrNoIndex, ErrNotStreamable (with a reason) and those of src.
func Open(src io.ReaderAt, size int64, keep Keep) (*Stream, error) {
	l, err := survey(src, size)
	if err != nil {
		return nil, err
	}
	if l.moov.size() > maxIndex || l.ftyp.size() > maxHeader {
		return nil, unfit("an index of %d bytes", l.moov.size())
	}
	moov, err := read(src, l.moov)
	if err != nil {
		return nil, err
	}
	m, err := parse(moov)
	if err != nil {
		return nil, err
	}
	if m.fragments {
		if l.mediaFirst {
			return nil, unfit("fragments before their index")
		}
		return &Stream{src: src, size: size, length: size}, nil
	}
	s := &Stream{src: src, size: size}
	if err := s.choose(m, keep, l); err != nil {
		return nil, err
	}
	ftyp, err := read(src, l.ftyp)
	if err != nil {
		return nil, err
	}
	extra, err := m.chapterBox(src, size)
	if err != nil {
		return nil, err
	}
	return s, s.layOut(ftyp, moov, extra)
}

// Len returns how many bytes Reader gives.
func (s *Stream) Len() int64 { return s.length }

// Fragmented reports whether the file is made of fragments (moof): it is
// taken as it is, and its index does not tell how long it is.
func (s *Stream) Fragmented() bool { return s.head == nil }

// choose takes the tracks to keep, and checks that they can be streamed.
func (s *Stream) choose(m *movie, keep Keep, l layout) error {
	sound, chunks := false, 0
	for _, t := range m.tracks {
		sound = sound || t.handler == "soun"
	}
	for i := range m.tracks {
		t := &m.tracks[i]
		if t.kept = keep == All || !sound || t.mayBeSound(); !t.kept {
			continue
		}
		if t.fault != nil {
			return t.fault
		}
		s.tracks = append(s.tracks, *t)
		chunks += t.offsets.len()
	}
	if len(s.tracks) == 0 || len(s.tracks) > maxTracks || chunks > maxChunks {
		return unfit("%d tracks with %d chunks", len(s.tracks), chunks)
	}
	return m.limit(s.tracks, l, s.size)
}

// layOut writes the head, with the places where the chunks will be.
func (s *Stream) layOut(ftyp, moov, extra []byte) error {
	media, chunks := int64(0), 0
	for _, c := range s.chunks() {
		if media += c.size; media > s.size {
			return unfit("tracks that share their media") // or the output could grow without end
		}
		chunks++
	}
	if media == 0 {
		return unfit("an index of nothing")
	}
	wide := media+int64(len(ftyp)+len(moov)+len(extra))+8*int64(chunks) > math.MaxUint32-64
	index, tables := rebuild(moov, s.tracks, extra, wide)
	base := int64(len(ftyp) + len(index) + mdatHeader)
	at := base
	for t, c := range s.chunks() {
		tables[t].put(c.n, at)
		at += c.size
	}
	s.head = append(append(append(make([]byte, 0, base), ftyp...), index...), headerOfMdat(media)...)
	s.length = at
	return nil
}

func unfit(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotStreamable, fmt.Sprintf(format, args...))
}
