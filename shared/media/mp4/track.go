package mp4

import (
	"encoding/binary"
	"iter"
	"math"
	"slices"
	"sort"
)

// movie is what a moov box says, as far as it is of use here.
type movie struct {
	body      []byte
	tracks    []track
	fragments bool // it is to be completed by moof boxes
}

// track is one of a movie.
type track struct {
	n       int    // among the trak boxes, from 0
	body    []byte // of its trak box
	kept    bool
	handler string // "soun", "vide", "text"
	fault   error  // why it cannot be streamed; nil if it can
	offsets table  // of its chunks
	runs    table
	sizes   sizes
	limits  []int64 // where a chunk of it may end, in order; nil where the sizes tell
	size    int64   // of the source
}

// parse reads a moov box.
func parse(moov []byte) (*movie, error) {
	m := &movie{}
	for b := range children(moov) {
		m.body = b.body
	}
	for b := range children(m.body) {
		switch b.kind {
		case "mvex":
			m.fragments = true
		case "cmov", "rmra":
			return nil, unfit("a %s box", b.kind)
		case "trak":
			t := track{n: len(m.tracks), body: b.body}
			t.fault = t.read()
			m.tracks = append(m.tracks, t)
			if !selfContained(child(t.body, "mdia", "minf", "dinf", "dref")) {
				return nil, unfit("media in another file")
			}
		}
	}
	if len(m.tracks) == 0 {
		return nil, unfit("an index without tracks")
	}
	return m, nil
}

// read takes the tables of the track and returns what is wrong with them.
func (t *track) read() error {
	if h := child(t.body, "mdia", "hdlr"); len(h) >= 12 {
		t.handler = string(h[8:12])
	}
	stbl := child(t.body, "mdia", "minf", "stbl")
	var ok [3]bool
	t.offsets, ok[0] = readOffsets(stbl)
	t.runs, ok[1] = readRuns(stbl)
	t.sizes, ok[2] = readSizes(stbl)
	switch {
	case ok != [3]bool{true, true, true}:
		return unfit("a track with broken tables")
	case t.offsets.len() > 0 && t.runs.len() == 0:
		return unfit("a track of chunks without samples")
	case child(stbl, "saio") != nil:
		return unfit("a track whose samples are described elsewhere")
	case !inOrder(child(t.body, "edts", "elst")):
		return unfit("a track of several cuts")
	}
	for n := range t.offsets.len() {
		if t.offsets.at(n) > math.MaxInt64 {
			return unfit("a chunk out of the world")
		}
	}
	return nil
}

// mayBeSound reports whether ffmpeg could take the track for sound. It goes
// by the sample format too, so that only what is surely something else is not.
func (t *track) mayBeSound() bool {
	return !slices.Contains([]string{"vide", "auxv", "pict", "text", "sbtl", "subt", "subp", "clcp", "tmcd", "meta", "hint"}, t.handler)
}

// inOrder reports whether an edit list (8.6.6) has no more than one part of
// the media. With several, a player may have to go back.
func inOrder(elst []byte) bool {
	if elst == nil {
		return true
	}
	if len(elst) < 8 {
		return false
	}
	size := 12
	if elst[0] == 1 {
		size = 20
	}
	parts, count, rest := 0, binary.BigEndian.Uint32(elst[4:]), elst[8:]
	for range count {
		if len(rest) < size {
			return false
		}
		time := rest[size/2-2 : size-4] // after the duration, of the same length
		if !slices.Equal(time, slices.Repeat([]byte{0xFF}, len(time))) {
			parts++
		}
		rest = rest[size:]
	}
	return parts <= 1
}

// selfContained reports whether all entries of a dref box (8.7.2) say that
// the media is in the file itself.
func selfContained(dref []byte) bool {
	if len(dref) < 8 {
		return true
	}
	for b := range children(dref[8:]) {
		if len(b.body) < 4 || b.body[3]&1 == 0 {
			return false
		}
	}
	return true
}

// countsTicks reports whether each sample lasts one tick: so QuickTime
// describes plain PCM, where the size of a sample may be anything.
func (t *track) countsTicks() bool {
	stts, ok := listed(child(t.body, "mdia", "minf", "stbl", "stts"), 4, 64)
	return ok && stts.len() == 1 && uint32(stts.at(0)) == 1
}

// limit finds, for the tracks whose sizes do not tell, where chunks can end:
// where others begin, of whatever track, and where boxes end.
func (m *movie) limit(tracks []track, l layout, size int64) error {
	ends := append(slices.Clone(l.ends), size)
	for i := range tracks {
		t := &tracks[i]
		t.size = size
		if !t.countsTicks() {
			continue
		}
		if len(ends) == len(l.ends)+1 {
			for _, other := range m.tracks {
				if len(ends)+other.offsets.len() > maxChunks {
					return unfit("too many chunks")
				}
				for n := range other.offsets.len() {
					ends = append(ends, int64(min(other.offsets.at(n), math.MaxInt64)))
				}
			}
			slices.Sort(ends)
		}
		t.limits = ends
	}
	return nil
}

// chunk is a part of the source that belongs to one track.
type chunk struct {
	n        int // in its track, from 0
	at, size int64
}

// cursor walks the chunks of a track.
type cursor struct {
	*track
	n      int // the next chunk
	run    int // the place in runs of that chunk
	sample int64
}

func (c *cursor) done() bool { return c.n >= c.offsets.len() }

func (c *cursor) next() chunk {
	k := chunk{n: c.n, at: int64(c.offsets.at(c.n))}
	for c.run+3 < c.runs.len() && c.runs.at(c.run+3) <= uint64(c.n)+1 {
		c.run += 3
	}
	samples := min(int64(c.runs.at(c.run+1)), c.sizes.count-c.sample)
	if c.limits != nil {
		if i := sort.Search(len(c.limits), func(i int) bool { return c.limits[i] > k.at }); i < len(c.limits) {
			k.size = c.limits[i] - k.at
		}
	} else {
		k.size = c.sizes.sum(c.sample, samples)
	}
	c.sample += samples
	c.n++
	k.size = max(0, min(k.size, c.size-k.at)) // the file may be cut short
	return k
}

// chunks yields the chunks of all kept tracks, with the track's number: those
// of each in its own order, and otherwise as they are in the file.
func (s *Stream) chunks() iter.Seq2[int, chunk] {
	return func(yield func(int, chunk) bool) {
		cursors := make([]cursor, len(s.tracks))
		for i := range cursors {
			cursors[i].track = &s.tracks[i]
		}
		for {
			best, at := -1, uint64(0)
			for i := range cursors {
				if c := &cursors[i]; !c.done() && (best < 0 || c.offsets.at(c.n) < at) {
					best, at = i, c.offsets.at(c.n)
				}
			}
			if best < 0 || !yield(best, cursors[best].next()) {
				return
			}
		}
	}
}
