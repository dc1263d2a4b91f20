package media

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// bombs are small files that claim, or unpack to, more than there could be.
func bombs(t *testing.T, media map[string][]byte) map[string][]byte {
	t.Helper()
	patch := func(content []byte, at string, skip int, value ...byte) []byte {
		content = bytes.Clone(content)
		found := 0
		for from := 0; ; {
			i := bytes.Index(content[from:], []byte(at))
			if i < 0 || from+i+len(at)+skip+len(value) > len(content) {
				break
			}
			copy(content[from+i+len(at)+skip:], value)
			from += i + len(at)
			found++
		}
		if found == 0 {
			t.Errorf("no %q to change", at)
		}
		return content
	}
	billion, most, zero := []byte{0x3B, 0x9A, 0xCA, 0x00}, []byte{0xFF, 0xFF, 0xFF, 0xFF}, []byte{0, 0, 0, 0}
	self := string(box("url ", "\x00\x00\x00\x01"))
	mov := movieOf([]byte(self))
	wav := func(format, channels, rate, align, bits int, size string) []byte {
		b := []byte("RIFF\xFF\xFF\xFF\x7FWAVEfmt " + le32(16) + le32(format|channels<<16) + le32(rate) + le32(rate*align) + le32(align|bits<<16) + "data" + size)
		return append(b, make([]byte, 100_000)...)
	}
	mkv := media["a.mkv"]
	return map[string][]byte{
		"a billion samples in stsz":        patch(mov, "stsz", 8, billion...),
		"a billion samples in stts":        patch(mov, "stts", 8, billion...),
		"a billion samples, all tables":    patch(patch(patch(mov, "stts", 8, billion...), "stsz", 8, billion...), "stsc", 12, billion...),
		"a billion entries in stts":        patch(mov, "stts", 4, billion...),
		"a billion entries in stco":        patch(mov, "stco", 4, billion...),
		"a billion entries in stsc":        patch(media["a.mp4"], "stsc", 4, billion...),
		"a billion edits":                  patch(media["a.mp4"], "elst", 4, billion...),
		"an edit of all time":              patch(media["a.mp4"], "elst", 8, append(most, zero...)...),
		"time scale 0 of the track":        patch(mov, "mdhd", 12, zero...),
		"time scale 0 of the movie":        patch(mov, "mvhd", 12, zero...),
		"time scale 0, fragments":          patch(media["frag.mp4"], "mdhd", 12, zero...),
		"sound of 0 Hz":                    patch(mov, "sowt", 24, zero...),
		"frames without end, fragments":    patch(media["frag.mp4"], "trun", 4, billion...),
		"boxes in boxes":                   nested(20_000),
		"an index that is packed":          packedIndex(t, 64<<20),
		"an index said to be 4 GB":         append(patch(media["a.mp4"], "moov", -8, most...), 0),
		"mkv, time scale 0":                patch(mkv, "\x2A\xD7\xB1\x83", 0, zero[:3]...),
		"mkv, time scale 2^24":             patch(mkv, "\x2A\xD7\xB1\x83", 0, most[:3]...),
		"mkv, a duration of NaN":           patch(mkv, "\x44\x89\x88", 0, binary.BigEndian.AppendUint64(nil, math.Float64bits(math.NaN()))...),
		"mkv, a duration of 10^300":        patch(mkv, "\x44\x89\x88", 0, binary.BigEndian.AppendUint64(nil, math.Float64bits(1e300))...),
		"mkv, 10,000 streams":              matroska(t, mkv, func(tracks []byte) []byte { return bytes.Repeat(tracks, 10_000) }),
		"mkv, elements in elements":        []byte("\x1A\x45\xDF\xA3\x80" + strings.Repeat("\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 20_000)),
		"mkv, an element of 2^56":          []byte("\x1A\x45\xDF\xA3\x88\x42\x82\x85webm\x00\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFE\x16\x54\xAE\x6B\x01\x00\xFF\xFF\xFF\xFF\xFF\xFF\xAE\x01\x00\xFF\xFF\xFF\xFF\xFF\xFE\x63\xA2\x01\x00\x00\x00\x7F\xFF\xFF\xFF"),
		"avi, 10,000 streams":              manyInAVI(10_000),
		"avi, scale and rate 0":            patch(media["a.avi"], "auds", 16, make([]byte, 8)...),
		"avi, a billion in the index":      patch(media["a.avi"], "idx1", 0, billion...),
		"mpegts, 7,920 streams":            manyInTransport(44, 180),
		"ogg, 10,000 streams":              manyInOgg(media["a.ogg"], 10_000),
		"ogg, granules of all time":        patch(media["a.ogg"], "OggS\x00\x00", 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F),
		"flac, 2^36 samples":               patch(media["a.flac"], "fLaC", 4+13, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF),
		"flac, 1 Hz":                       patch(media["a.flac"], "fLaC", 4+10, 0x00, 0x00, 0x12),
		"flac, a comment of 16 MB":         patch(media["a.flac"], "fLaC", 4+34, 0x04, 0xFF, 0xFF, 0xFF),
		"wav, 65535 channels":              wav(1, 65535, 44100, 131070, 16, "\xFF\xFF\xFF\x7F"),
		"wav, 600 channels":                wav(1, 600, 44100, 1200, 16, "\xFF\xFF\xFF\x7F"),
		"wav, 64 channels":                 wav(1, 64, 44100, 128, 16, "\x00\x00\x01\x00"),
		"wav, no channels":                 wav(1, 0, 44100, 0, 16, "\xFF\xFF\xFF\x7F"),
		"wav, 2^31 Hz":                     wav(1, 1, math.MaxInt32, 2, 16, "\xFF\xFF\xFF\x7F"),
		"wav, 1 GHz":                       wav(1, 1, 1_074_607_120, 2, 16, "\xFF\xFF\xFF\x7F"),
		"wav, 2^32 Hz":                     wav(1, 1, math.MaxUint32, 2, 16, "\xFF\xFF\xFF\x7F"),
		"wav, 1 Hz":                        wav(1, 1, 1, 1, 8, "\x00\x86\x01\x00"),
		"wav, 0 Hz":                        wav(1, 1, 0, 2, 16, "\xFF\xFF\xFF\x7F"),
		"wav, 4 GB":                        wav(1, 2, 44100, 4, 16, "\xFF\xFF\xFF\xFF"),
		"wav, ADPCM, blocks of 0":          wav(2, 2, 44100, 0, 4, "\xFF\xFF\xFF\x7F"),
		"au, 1 Hz":                         []byte(".snd" + size(24) + size(-1) + size(2) + size(1) + size(1) + strings.Repeat("\x00", 100_000)),
		"tta, 2^32 samples":                patch(media["a.tta"], "TTA1", 14, most...),
		"wavpack, 2^32 samples":            patch(media["a.wv"], "wvpk", 8, most...),
		"aiff, 2^32 samples":               patch(media["a.aiff"], "COMM", 6, most...),
		"caf, a table of 2^63":             patch(media["a.caf"], "data", 0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF),
		"voc, repeated without end":        []byte("Creative Voice File\x1A\x1A\x00\x0A\x01\x29\x11\x06\x02\x00\xFF\xFF\x01\x12\x00\x00\xA5\x00" + strings.Repeat("\x80", 16) + "\x07\x00\x00\x00"),
		"ID3, 256 MB":                      append([]byte("ID3\x04\x00\x00\x7F\x7F\x7F\x7F"), media["a.mp3"]...),
		"ID3, a frame of 256 MB":           append([]byte("ID3\x04\x00\x00\x00\x00\x01\x00TIT2\x7F\x7F\x7F\x7F\x00\x00"+strings.Repeat("x", 118)), media["a.mp3"]...),
		"asf, a header of 2^64":            patch(media["a.wmv"], "\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C", 0, append(most, most...)...),
		"mp4, 10,000 streams":              manyInMovie(10_000),
		"flv, an array of a billion":       []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x12\x00\x00\x16\x00\x00\x00\x00\x00\x00\x00\x02\x00\x0AonMetaData\x0A\x3B\x9A\xCA\x00\x00\x00\x00\x21"),
		"flv, arrays in arrays":            []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x12\x01\x86\xAD\x00\x00\x00\x00\x00\x00\x00\x02\x00\x0AonMetaData" + strings.Repeat("\x0A\x00\x00\x00\x01", 20_000)),
		"nut, a header that claims it all": append([]byte("nut/multimedia container\x00NM\x7A\x56\x1F\x5F\x04\xAD\xFF\xFF\xFF\xFF\x7F"), bytes.Repeat([]byte{0xFF}, 10_000)...),
	}
}

// nested is an mp4 of boxes within boxes.
func nested(depth int) []byte {
	b := box("ftyp", "isom\x00\x00\x02\x00")
	for i := range depth {
		kind := "trak"
		if i == 0 {
			kind = "moov"
		}
		b = append(b, size(8*(depth-i))+kind...)
	}
	return b
}

// packedIndex is a compressed movie box that unpacks to n zeros.
func packedIndex(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(make([]byte, n)) // to memory
	_ = w.Close()
	cmov := box("cmov", string(box("dcom", "zlib")), string(box("cmvd", size(n)+b.String())))
	return append(box("ftyp", "qt  \x00\x00\x00\x00"), box("moov", string(cmov))...)
}

// matroska changes the TrackEntry elements of a file.
func matroska(t *testing.T, mkv []byte, change func(entries []byte) []byte) []byte {
	t.Helper()
	at := bytes.LastIndex(mkv, []byte("\x16\x54\xAE\x6B")) // the one before it is in an index
	if at < 0 {
		t.Fatal("no tracks")
	}
	length, n := vint(mkv[at+4:])
	begin := at + 4 + int(n)
	entries := change(mkv[begin : begin+int(length)])
	head := append([]byte("\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x16\x54\xAE\x6B"), 0x01)
	head = append(head, binary.BigEndian.AppendUint64(nil, uint64(len(entries)))[1:]...)
	return append(append(head, entries...), mkv[begin+int(length):]...)
}

func manyInMovie(n int) []byte {
	one := movieOf(box("url ", "\x00\x00\x00\x01"))
	at := bytes.Index(one, []byte("trak")) - 4
	trak := one[at : at+int(binary.BigEndian.Uint32(one[at:]))]
	mvhd := one[bytes.Index(one, []byte("mvhd"))-4 : at]
	return append(append(box("ftyp", "qt  \x00\x00\x00\x00"), box("moov", string(mvhd), strings.Repeat(string(trak), n))...), box("mdat", "x")...)
}

func manyInAVI(n int) []byte {
	chunk := func(id, body string) string { return id + le32(len(body)) + body }
	strh := chunk("strh", "auds\x00\x00\x00\x00"+strings.Repeat(le32(0), 3)+le32(1)+le32(8000)+strings.Repeat(le32(0), 6))
	strf := chunk("strf", "\x01\x00\x01\x00"+le32(8000)+le32(8000)+"\x01\x00\x08\x00")
	list := chunk("LIST", "strl"+strh+strf)
	hdrl := chunk("LIST", "hdrl"+chunk("avih", strings.Repeat(le32(0), 6)+le32(n)+strings.Repeat(le32(0), 7))+strings.Repeat(list, n))
	return []byte(chunk("RIFF", "AVI "+hdrl+chunk("LIST", "movi"+chunk("00wb", strings.Repeat("\x80", 100)))))
}

// manyInTransport is a transport stream whose tables (ISO/IEC 13818-1, 2.4.4)
// have so many programs, of so many sounds each.
func manyInTransport(programs, sounds int) []byte {
	const firstMap, firstSound = 0x20, 0x100
	be16 := func(n int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }
	var all []byte
	section := func(pid, table, id int, body string) {
		s := string(rune(table)) + be16(0xB000|len(body)+9) + be16(id) + "\xC1\x00\x00" + body
		s = "\x00" + s + string(binary.BigEndian.AppendUint32(nil, checksum(math.MaxUint32, []byte(s))))
		for i := 0; len(s) > 0; i++ {
			n := min(len(s), 184)
			start := 0
			if i == 0 {
				start = 0x4000
			}
			all = append(all, "G"+be16(start|pid)+string([]byte{0x10 | byte(i&15)})+s[:n]+strings.Repeat("\xFF", 184-n)...)
			s = s[n:]
		}
	}
	var list strings.Builder
	for p := range programs {
		list.WriteString(be16(p+1) + be16(0xE000|firstMap+p))
	}
	section(0, 0, 1, list.String())
	for p := range programs {
		body := be16(0xE000|firstSound) + be16(0xF000)
		for s := range sounds {
			body += "\x03" + be16(0xE000|firstSound+p*sounds+s) + be16(0xF000)
		}
		section(firstMap+p, 2, p+1, body)
	}
	return all
}

// manyInOgg begins the stream of a file again and again, under other numbers.
func manyInOgg(ogg []byte, n int) []byte {
	first := ogg[:27+int(ogg[26])+int(ogg[27])]
	var b []byte
	for i := range n {
		page := bytes.Clone(first)
		binary.LittleEndian.PutUint32(page[14:], uint32(i))
		binary.LittleEndian.PutUint32(page[22:], 0)
		binary.LittleEndian.PutUint32(page[22:], checksum(0, page))
		b = append(b, page...)
	}
	return append(b, ogg...)
}

// checksum is that of RFC 3533, 6, and of ISO/IEC 13818-1, annex A.
func checksum(crc uint32, page []byte) uint32 {
	for _, c := range page {
		crc ^= uint32(c) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
