package options

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Time is a place in the video, from its beginning: whole milliseconds, less
// than 1,000,000 seconds. As text and in JSON it is a string of seconds with
// at most three decimals, such as "83.5"; read, it may also be one of minutes
// and seconds, "1:23.5", or of hours too, "0:01:23.5".
type Time time.Duration

// Duration returns how long after the beginning it is.
func (t Time) Duration() time.Duration { return time.Duration(t) }

// String returns the time in seconds, with as many decimals as it needs.
func (t Time) String() string {
	seconds := fmt.Sprintf("%d.%03d", t.Duration()/time.Second, t.Duration()%time.Second/time.Millisecond)
	return strings.TrimSuffix(strings.TrimRight(seconds, "0"), ".")
}

// MarshalText returns String.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText writes, and the other ways to write a
// time. fail.Invalid for anything else.
func (t *Time) UnmarshalText(text []byte) error {
	read, ok := parseTime(string(text))
	if !ok {
		return fail.New(fail.Invalid, "A time is %s, not %s.", timeTakes, shown(string(text)))
	}
	*t = read
	return nil
}

const timeTakes = "seconds such as 83.5, or mm:ss, or hh:mm:ss, with at most three decimals"

// clock has hours and minutes, or minutes alone, and seconds; or seconds
// alone; and decimals of a second.
var clock = regexp.MustCompile(`^(?:(?:(\d{1,2}):([0-5]\d)|(\d{1,3})):([0-5]\d)|(\d{1,6}))(?:\.(\d{1,3}))?$`)

func parseTime(s string) (Time, bool) {
	m := clock.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	hours, minutes, seconds := number(m[1]), number(m[2])+number(m[3]), number(m[4])+number(m[5])
	milliseconds := number((m[6] + strings.Repeat("0", 3))[:3])
	return Time(hours*time.Hour + minutes*time.Minute + seconds*time.Second + milliseconds*time.Millisecond), true
}

// number is a number of at most six digits, 0 for none.
func number(digits string) time.Duration {
	n, _ := strconv.Atoi(digits)
	return time.Duration(n)
}

// Cover says which picture the results get: "none", or a time, as Time writes
// it, for the frame of the video that is shown then; "" for the picture that
// is attached to the source, if there is one.
type Cover string

// NoCover leaves pictures out.
const NoCover Cover = "none"

// None reports whether the results get no picture.
func (c Cover) None() bool { return c == NoCover }

// At returns the time of the frame that is the picture, if one is asked for.
func (c Cover) At() (time.Duration, bool) {
	t, ok := parseTime(string(c))
	return t.Duration(), ok
}
