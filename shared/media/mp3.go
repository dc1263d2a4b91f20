package media

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
