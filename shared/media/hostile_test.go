package media

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"
)

// hostile are files that name others: the address and the path are what they
// must not reach. The media are good samples, by name.
func hostile(t *testing.T, address, path string, media map[string][]byte) map[string][]byte {
	t.Helper()
	hls := func(uri string) string {
		return "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\n" + uri + "\n#EXT-X-ENDLIST\n"
	}
	dash := `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1000"><BaseURL>%s</BaseURL></Representation></AdaptationSet></Period></MPD>`
	ffconcat := "ffconcat version 1.0\nfile '%s'\n"
	all := map[string]string{
		"HLS, address":             hls(address + "/a.ts"),
		"HLS, path":                hls(path),
		"HLS, file:":               hls("file:" + path),
		"HLS, concat:":             hls("concat:" + path + "|" + path),
		"HLS, subfile":             hls("subfile,,start,0,end,9999,,:" + path),
		"HLS, crypto":              hls("crypto+" + address + "/a.ts"),
		"HLS, data":                hls("data:application/x-mpegurl," + address),
		"HLS, gopher":              hls("gopher://" + strings.TrimPrefix(address, "http://") + "/_x"),
		"HLS, own descriptor":      hls("/dev/fd/3"),
		"HLS, key":                 strings.Replace(hls(path), "#EXTINF", `#EXT-X-KEY:METHOD=AES-128,URI="`+address+`/key"`+"\n#EXTINF", 1),
		"HLS, map":                 strings.Replace(hls(path), "#EXTINF", `#EXT-X-MAP:URI="`+path+`"`+"\n#EXTINF", 1),
		"HLS, master":              "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n" + address + "/b.m3u8\n",
		"ffconcat":                 fmt.Sprintf(ffconcat, path),
		"ffconcat, address":        fmt.Sprintf(ffconcat, address+"/a.ts"),
		"concat, no head":          "file '" + path + "'\nfile '" + path + "'\n",
		"DASH, address":            fmt.Sprintf(dash, address+"/a.mp4"),
		"DASH, path":               fmt.Sprintf(dash, path),
		"SDP":                      "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
		"an image sequence":        strings.TrimSuffix(path, "canary.ts") + "%03d.png\n",
		"AVI with HLS inside":      string(aviWithSubtitles(hls(address + "/a.ts"))),
		"AVI with a path":          string(aviWithSubtitles(hls("file://" + path))),
		"AVI with ffconcat":        string(aviWithSubtitles(fmt.Sprintf(ffconcat, path))),
		"AVI with SDP":             string(aviWithSubtitles("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n")),
		"QuickTime text moov":      "rtsptext\r\n" + address + "/a.ts\r\n",
		"ASX playlist":             `<asx version="3.0"><entry><ref href="` + address + `/a.ts"/></entry></asx>`,
		"ASF redirector":           "[Reference]\r\nRef1=" + address + "/a.asf\r\n",
		"PLS":                      "[playlist]\nFile1=" + address + "/a.mp3\n",
		"a name, nothing else":     path,
		"an address only":          address + "/a.ts",
		"playlist after an ID3":    "ID3\x04\x00\x00\x00\x00\x00\x05xxxxx" + hls(path),
		"playlist after ftyp":      "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42" + hls(path),
		"playlist after FLV":       "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00" + hls(path),
		"playlist after RIFF":      "RIFF\xFF\xFF\x00\x00WAVE" + hls(path),
		"playlist after OggS":      "OggS\x00" + hls(path),
		"playlist after TS":        strings.Repeat("G\x1F\xFF\x10"+strings.Repeat("\xFF", 184), 10) + hls(path),
		"playlist after EBML":      "\x1A\x45\xDF\xA3\x80" + hls(path),
		"playlist as PS":           "\x00\x00\x01\xBA" + hls(path),
		"playlist as RealMedia":    ".RMF\x00\x00\x00\x12" + hls(path),
		"mp4 with a playlist":      string(media["a.mp4"]) + hls(path),
		"mp3 with a playlist":      string(media["a.mp3"]) + hls(path),
		"mkv with a playlist":      string(media["a.mkv"]) + hls(path),
		"mov, dref url":            string(movieOf(box("url ", "\x00\x00\x00\x00"+address+"/a.mov\x00"))),
		"mov, dref path":           string(movieOf(box("url ", "\x00\x00\x00\x00file://"+path+"\x00"))),
		"mov, dref alis":           string(movieOf(alias(path))),
		"mov, reference movie":     string(box("ftyp", "qt  \x00\x00\x00\x00qt  ")) + string(box("moov", string(box("rmra", string(box("rmda", string(box("rdrf", "\x00\x00\x00\x00url "+size(len(address)+7)+address+"/a.mov\x00")))))))),
		"zip of a playlist":        string(zipped(t, hls(path))),
		"tar of a playlist":        string(tarred(t, hls(path))),
		"gz of a playlist":         string(gzipped(t, hls(path))),
		"WAV with a playlist":      "RIFF" + le32(4+8+len(hls(path))) + "WAVEdata" + le32(len(hls(path))) + hls(path),
		"SubRip that names a file": "1\n00:00:01,000 --> 00:00:02,000\n" + path + "\n",
		"VobSub index":             "# VobSub index file, v7\nid: en, index: 0\ntimestamp: 00:00:01:000, filepos: 000000000\n",
		"cue sheet":                "FILE \"" + path + "\" WAVE\n  TRACK 01 AUDIO\n",
	}
	files := map[string][]byte{}
	for name, content := range all {
		files[name] = []byte(content)
	}
	return files
}

func size(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }
func le32(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

// box is one of ISO/IEC 14496-12.
func box(kind string, parts ...string) []byte {
	body := strings.Join(parts, "")
	return []byte(size(8+len(body)) + kind + body)
}

// movieOf is a QuickTime movie with one sound track whose media are where the
// data reference says.
func movieOf(reference []byte) []byte {
	b := func(kind string, parts ...string) string { return string(box(kind, parts...)) }
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	entry := b("sowt", zeros(6)+"\x00\x01"+zeros(8)+"\x00\x01\x00\x10"+zeros(4)+"\xAC\x44\x00\x00")
	table := b("stbl",
		b("stsd", zeros(4), size(1), entry), b("stts", zeros(4), size(1), size(44100), size(1)),
		b("stsc", zeros(4), size(1), size(1), size(44100), size(1)), b("stsz", zeros(4), size(2), size(44100)),
		b("stco", zeros(4), size(1), size(0)))
	info := b("minf", b("smhd", zeros(8)), b("dinf", b("dref", zeros(4), size(1), string(reference))), table)
	mdia := b("mdia", b("mdhd", zeros(12), size(44100), size(44100), zeros(4)), b("hdlr", zeros(4), "mhlrsoun", zeros(12), "\x00"), info)
	tkhd := b("tkhd", "\x00\x00\x00\x07", zeros(8), size(1), zeros(4), size(600), zeros(60))
	return []byte(b("ftyp", "qt  ", zeros(4), "qt  ") + b("moov", b("mvhd", zeros(12), size(600), size(600), zeros(80)), b("trak", tkhd, mdia)) + b("mdat", zeros(1000)))
}

// alias is an alias record of the Macintosh for a path, as mov_read_dref of
// libavformat reads it.
func alias(path string) []byte {
	record := make([]byte, 150)
	record[10] = byte(copy(record[11:38], "disk"))
	record[54] = byte(copy(record[55:118], "canary.ts"))
	binary.BigEndian.PutUint16(record[134:], 1) // levels from the alias to the target
	binary.BigEndian.PutUint16(record[136:], 1)
	entry := func(kind uint16, text string) string {
		s := string(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, kind), uint16(len(text)))) + text
		return s + strings.Repeat("\x00", len(text)%2)
	}
	return box("alis", "\x00\x00\x00\x00"+string(record)+entry(2, "disk:"+path)+entry(18, path)+"\xFF\xFF\x00\x00")
}

func zipped(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateHeader(&zip.FileHeader{Name: "a.m3u8", Method: zip.Store})
	if err == nil {
		_, err = f.Write([]byte(content))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: "a.m3u8", Mode: 0o600, Size: int64(len(content))})
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(content))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mutated changes a file in some places, always the same ones for a name and
// a number: mostly near the beginning, where the headers are.
func mutated(name string, number int, content []byte) []byte {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), uint64(number)))
	b := bytes.Clone(content)
	for range 1 + r.IntN(6) {
		if len(b) < 32 {
			return b
		}
		within := len(b)
		if r.IntN(3) > 0 {
			within = min(within, 64<<r.IntN(8))
		}
		at := r.IntN(within - 8)
		n := min(1+r.IntN(1<<r.IntN(12)), len(b)-at)
		switch r.IntN(8) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2:
			binary.BigEndian.PutUint32(b[at:], []uint32{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1}[r.IntN(5)])
		case 3:
			binary.LittleEndian.PutUint32(b[at:], []uint32{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1}[r.IntN(5)])
		case 4:
			b = append(b[:at:at], b[at+n:]...)
		case 5:
			b = append(append(b[:at+n:at+n], b[at:at+n]...), b[at+n:]...)
		case 6:
			for i := range b[at : at+n] {
				b[at+i] = byte(r.Uint32())
			}
		case 7:
			copy(b[at:at+n], b[r.IntN(len(b)-n+1):])
		}
	}
	if r.IntN(6) == 0 {
		b = b[:r.IntN(len(b))]
	}
	return b
}
