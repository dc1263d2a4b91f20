package media

import "slices"

// isMovie reports whether a file that begins so may be of ISO/IEC 14496-12 or
// QuickTime.
func isMovie(start []byte) bool {
	return len(start) >= 8 &&
		slices.Contains([]string{"ftyp", "moov", "mdat", "moof", "free", "skip", "wide", "pnot"}, string(start[4:8]))
}

// sequential are the beginnings of files that ffmpeg reads front to back,
// without looking at an index: "?" stands for any byte.
var sequential = []string{
	"\x1A\x45\xDF\xA3",                 // Matroska, WebM
	"FLV",                              //
	"\x30\x26\xB2\x75\x8E\x66\xCF\x11", // ASF
	"\x00\x00\x01\xBA",                 // MPEG program stream
	"RIFF????AVI ",                     // the sound comes in the order of the file, interleaved or not
	"RIFF????WAVE",
	"RF64????WAVE",
	"riff\x2E\x91\xCF\x11", // Wave64
	"fLaC",
	"OggS",
	"ID3",      // before MP3, mostly
	"\x0B\x77", // AC-3
	"#!AMR",
	".snd", // au
	"nut/multimedia container",
	"FORM????AIFFCOMM", // not where the format comes after the sound
	"FORM????AIFCFVER",
	"FORM????AIFCCOMM",
}

func isSequential(start []byte) bool {
	for _, s := range sequential {
		if matches(start, s) {
			return true
		}
	}
	// MPEG audio and AAC frames begin with eleven ones. A transport stream has
	// packets of 188 bytes, with 4 more before or 16 after them.
	return len(start) >= 2 && start[0] == 0xFF && start[1]&0xE0 == 0xE0 ||
		hasPackets(start, 0, 188) || hasPackets(start, 4, 192) || hasPackets(start, 0, 204)
}

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

// hasPackets reports whether the sync byte of MPEG comes at the place, and
// again in the next packet.
func hasPackets(start []byte, at, size int) bool {
	return len(start) > at+size && start[at] == 0x47 && start[at+size] == 0x47
}
