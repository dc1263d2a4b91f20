package media

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"time"
)

// sampleRates are those of MPEG-1, MPEG-2 and MPEG-2.5 audio, in Hz.
var sampleRates = []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}

// sampleRateFor returns rate where MP3 has it, else the one that loses the
// least: the next above, or, past 48 kHz, the one of the same family.
func sampleRateFor(rate int) int {
	for _, r := range sampleRates {
		if rate <= r {
			return r
		}
	}
	if rate%11025 == 0 {
		return 44100
	}
	return 48000
}

// bitrateFor returns the highest bit rate that Layer III has at the sample
// rate and that is not above want, in bit/s; the lowest where want is below
// all (ISO/IEC 11172-3 2.4.2.3, 13818-3 2.4.2.3; LAME for MPEG-2.5).
func bitrateFor(want, sampleRate int) int {
	rates := []int{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}
	switch {
	case sampleRate < 16000:
		rates = []int{8, 16, 24, 32, 40, 48, 56, 64}
	case sampleRate < 32000:
		rates = []int{8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}
	}
	best := rates[0]
	for _, r := range rates {
		if r*1000 <= want {
			best = r
		}
	}
	return best * 1000
}

var errNoHeader = errors.New("no Xing header where the MP3 should begin")

// readMP3 reads what a finished MP3 says of itself: the ID3v2 tag is skipped,
// the Xing header of the first frame counts the frames, its LAME extension
// the samples that the encoder added (http://gabriel.mp3-tech.org/mp3infotag.html).
func readMP3(f *os.File) (MP3, error) {
	st, err := f.Stat()
	if err != nil {
		return MP3{}, err
	}
	var id3 [10]byte
	if _, err := f.ReadAt(id3[:], 0); err != nil {
		return MP3{}, errors.Join(errNoHeader, err)
	}
	at := int64(0)
	if string(id3[:3]) == "ID3" {
		at = 10 + int64(id3[6])<<21 + int64(id3[7])<<14 + int64(id3[8])<<7 + int64(id3[9])
	}
	var b [192]byte
	if n, err := f.ReadAt(b[:], at); n < len(b) && !errors.Is(err, io.EOF) {
		return MP3{}, errors.Join(errNoHeader, err)
	}
	if b[0] != 0xFF || b[1]&0xE6 != 0xE2 { // sync, layer III
		return MP3{}, errNoHeader
	}
	m := MP3{Bytes: st.Size(), Channels: 2}
	if b[3]>>6 == 3 {
		m.Channels = 1
	}
	version, index := b[1]>>3&3, int(b[2]>>2&3)
	if version == 1 || index == 3 {
		return MP3{}, errNoHeader
	}
	group := map[byte]int{3: 6, 2: 3, 0: 0}[version] // where the version's three rates begin
	order := [3]int{1, 2, 0}                         // 44.1, 48, 32 and their halves and quarters
	m.SampleRate = sampleRates[group+order[index]]
	samples, side := int64(1152), 32
	if version != 3 {
		samples, side = 576, 17
	}
	if m.Channels == 1 {
		side = map[int]int{32: 17, 17: 9}[side]
	}
	xing := b[4+side:]
	if name := string(xing[:4]); name != "Xing" && name != "Info" || xing[7]&1 == 0 {
		return MP3{}, errNoHeader
	}
	total := int64(binary.BigEndian.Uint32(xing[8:])) * samples
	// After flags, frames, bytes, table and quality: encoder (9), 12 bytes of
	// other things, then 12 bits of delay and 12 of padding.
	lame := xing[120:]
	total -= int64(lame[21])<<4 | int64(lame[22])>>4
	total -= int64(lame[22]&15)<<8 | int64(lame[23])
	m.Duration = time.Duration(max(total, 0)) * time.Second / time.Duration(m.SampleRate)
	return m, nil
}
