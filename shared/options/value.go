package options

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What follows writes a value that was read from the form, and reports whether
// it is one that the field takes; and reads it back, empty for none.

func setFormats(to *[]Format, value string) bool {
	for part := range strings.SplitSeq(value, ",") {
		f := Format(strings.TrimSpace(part))
		if !slices.Contains(Formats(), f) || slices.Contains(*to, f) {
			return false
		}
		*to = append(*to, f)
	}
	return true
}

// setBitrate reads a bit rate, in thousands with a k.
func setBitrate(to *int, value string) bool {
	digits, thousands := strings.CutSuffix(value, "k")
	if !setWhole(to, digits) {
		return false
	}
	if thousands {
		*to *= 1000
	}
	return *to >= MinBitrate && *to <= MaxBitrate
}

func bitrate(n int) string {
	if n > 0 && n%1000 == 0 {
		return whole(n/1000) + "k"
	}
	return whole(n)
}

var digits = regexp.MustCompile(`^[1-9]\d{0,5}$`)

// setWhole reads a number above zero, of at most six digits.
func setWhole(to *int, value string) (ok bool) {
	n, err := strconv.Atoi(value)
	*to = n
	return err == nil && digits.MatchString(value)
}

func whole(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func setTime(to *Time, value string) (ok bool) {
	*to, ok = parseTime(value)
	return ok
}

func point(t Time) string {
	if t == 0 {
		return ""
	}
	return t.String()
}

func setTrack(to *Track, value string) bool {
	*to = Track(value)
	if n, ok := to.Index(); ok {
		*to = Track(strconv.Itoa(n))
		return true
	}
	_, ok := parseLanguage(value)
	return ok
}

var decibels = regexp.MustCompile(`^-\d{1,2}(\.\d{1,2})?$`)

func setLoudness(to *float64, value string) bool {
	n, err := strconv.ParseFloat(value, 64)
	*to = n
	return err == nil && decibels.MatchString(value) && n >= MinLoudness && n <= MaxLoudness
}

func loudness(n float64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// setCover takes a time as any of its kinds, and keeps it in seconds.
func setCover(to *Cover, value string) bool {
	if *to = Cover(value); to.None() {
		return true
	}
	t, ok := parseTime(value)
	*to = Cover(t.String())
	return ok
}
