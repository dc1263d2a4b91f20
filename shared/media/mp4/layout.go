package mp4

import "encoding/binary"

// mdatHeader is the size of the header that headerOfMdat makes.
const mdatHeader = 16

// headerOfMdat begins a box of so many bytes of media, with a 64-bit size.
func headerOfMdat(media int64) []byte {
	b := binary.BigEndian.AppendUint32(nil, 1)
	b = append(b, "mdat"...)
	return binary.BigEndian.AppendUint64(b, uint64(media)+mdatHeader)
}

// rebuild makes a moov box of another: without the tracks that are not among
// those kept, with tables for their chunks that are to be filled in, of 64 bits
// each if wide, and with extra boxes at its end.
func rebuild(moov []byte, kept []track, extra []byte, wide bool) ([]byte, []table) {
	r := rebuilding{bits: 32, kind: "stco"}
	if wide {
		r.bits, r.kind = 64, "co64"
	}
	r.out = make([]byte, 0, len(moov)+len(extra))
	end := r.open("moov")
	n := 0 // of the trak box
	for m := range children(moov) {
		for b := range children(m.body) {
			if b.kind != "trak" {
				r.out = append(r.out, b.whole...)
				continue
			}
			if k := len(r.places); k < len(kept) && kept[k].n == n {
				r.track(b, kept[k].offsets.len())
			}
			n++
		}
	}
	r.out = append(r.out, extra...)
	end()
	tables := make([]table, len(r.places))
	for i, p := range r.places {
		tables[i] = table{data: r.out[p.start:p.end], bits: r.bits}
	}
	return r.out, tables
}

type rebuilding struct {
	out    []byte
	bits   int
	kind   string
	places []span // of the tables in out
}

// open begins a box and returns what ends it.
func (r *rebuilding) open(kind string) (end func()) {
	start := len(r.out)
	r.out = append(append(r.out, 0, 0, 0, 0), kind...)
	return func() { binary.BigEndian.PutUint32(r.out[start:], uint32(len(r.out)-start)) }
}

// track copies a trak box, with a new table for so many chunks in the place of
// the first one on the path to it.
func (r *rebuilding) track(trak box, chunks int) {
	path := []string{"mdia", "minf", "stbl"}
	placed := false
	var copyBox func(b box, depth int)
	copyBox = func(b box, depth int) {
		end := r.open(b.kind)
		defer end()
		entered := false
		for c := range children(b.body) {
			switch {
			case depth < len(path) && c.kind == path[depth] && !entered:
				entered = true
				copyBox(c, depth+1)
			case depth == len(path) && (c.kind == "stco" || c.kind == "co64"):
				if !placed {
					placed = true
					r.table(chunks)
				}
			default:
				r.out = append(r.out, c.whole...)
			}
		}
	}
	copyBox(trak, 0)
}

func (r *rebuilding) table(chunks int) {
	end := r.open(r.kind)
	r.out = append(r.out, 0, 0, 0, 0)
	r.out = binary.BigEndian.AppendUint32(r.out, uint32(chunks))
	start := int64(len(r.out))
	r.out = append(r.out, make([]byte, chunks*r.bits/8)...)
	r.places = append(r.places, span{start, int64(len(r.out))})
	end()
}
