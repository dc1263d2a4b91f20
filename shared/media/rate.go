package media

// nearestRate returns rate where the rates have it, which are sorted, else the
// one that loses the least: the next above, or, past them all, the highest of
// the same family.
func nearestRate(rates []int, rate int) int {
	for _, r := range rates {
		if rate <= r {
			return r
		}
	}
	best := rates[len(rates)-1]
	for _, r := range rates {
		if rate%11025 == 0 && r%11025 == 0 {
			best = r
		}
	}
	return best
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
