package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reader reads variables one by one and collects what is wrong with them.
// A bad value yields the default, so that reading can go on.
type reader struct {
	getenv func(string) string
	errs   []error
}

func (r *reader) err() error { return errors.Join(r.errs...) }

func (r *reader) bad(name, want, found string) {
	r.errs = append(r.errs, fmt.Errorf("%s: want %s, found %q", name, want, found))
}

func (r *reader) text(name, def string) string {
	if v := strings.TrimSpace(r.getenv(name)); v != "" {
		return v
	}
	return def
}

// path makes a path absolute, so that it stays right whatever the working
// folder; an empty one stays empty.
func (r *reader) path(name, def string) string {
	v := r.text(name, def)
	if v == "" {
		return ""
	}
	abs, err := filepath.Abs(v)
	if err != nil {
		r.bad(name, "a path", v)
		return v
	}
	return abs
}

// key reads where a key is: the path of a file, or the key itself, which begins
// with the prefix.
func (r *reader) key(name, def, prefix string) string {
	if v := r.text(name, def); strings.HasPrefix(v, prefix) {
		return v
	}
	return r.path(name, def)
}

func (r *reader) number(name string, def, least, most int64) int64 {
	v := r.text(name, "")
	if v == "" {
		return def
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < least || n > most {
		r.bad(name, fmt.Sprintf("a number from %d to %d", least, most), v)
		return def
	}
	return n
}

// private are the networks that the internet does not lead to, and the
// machine's own (RFC 1918, 4193, 6598, 1122, 4291).
var private = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128"}

// networks reads a list of CIDR prefixes; the word private is all of those.
func (r *reader) networks(name string) []netip.Prefix {
	var all []netip.Prefix
	for word := range strings.SplitSeq(r.text(name, ""), ",") {
		words := []string{strings.TrimSpace(word)}
		switch words[0] {
		case "":
			continue
		case "private":
			words = private
		}
		for _, w := range words {
			p, err := netip.ParsePrefix(w)
			if err != nil {
				r.bad(name, `networks such as 10.0.0.0/8, or the word private, with commas between them`, w)
				return nil
			}
			all = append(all, p.Masked())
		}
	}
	return all
}

func (r *reader) duration(name string, def, least, most time.Duration) time.Duration {
	v := r.text(name, "")
	if v == "" {
		return def
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		r.bad(name, fmt.Sprintf("a duration from %s to %s, such as 90s or 10m", least, most), v)
		return def
	}
	return d
}

// share reads a number from 0 to 1.
func (r *reader) share(name string, def float64) float64 {
	v := r.text(name, "")
	if v == "" {
		return def
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0 && f <= 1) { // neither is NaN
		r.bad(name, "a number from 0 to 1, such as 0.1", v)
		return def
	}
	return f
}

// traces reads where traces go, from the variables of OpenTelemetry
// (https://opentelemetry.io/docs/specs/otel/protocol/exporter/); empty for
// nowhere.
func (r *reader) traces() string {
	all := r.address("OTEL_EXPORTER_OTLP_ENDPOINT", "", "http", "https")
	own := r.address("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "", "http", "https")
	r.choice("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "http/protobuf")
	disabled := strings.ToLower(r.text("OTEL_SDK_DISABLED", "false"))
	if disabled != "true" && disabled != "false" {
		r.bad("OTEL_SDK_DISABLED", "true or false", disabled)
	}
	switch {
	case disabled == "true":
		return ""
	case own != "":
		return own
	case all != "":
		return all + "/v1/traces"
	}
	return ""
}

// choice reads one of a few words; def need not be one of them.
func (r *reader) choice(name, def string, of ...string) string {
	v := r.text(name, def)
	if v != def && !slices.Contains(of, v) {
		r.bad(name, "one of "+strings.Join(of, ", "), v)
		return def
	}
	return v
}

var units = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"", 1}}

// size reads a number of bytes: 1048576, 512KiB, 100MiB, 2GiB.
func (r *reader) size(name string, def int64) int64 {
	v := r.text(name, "")
	if v == "" {
		return def
	}
	for _, u := range units {
		digits, ok := strings.CutSuffix(v, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err == nil && n > 0 && n <= (1<<62)/u.bytes {
			return n * u.bytes
		}
		break
	}
	r.bad(name, "a size above 0, such as 1048576, 100MiB or 2GiB", v)
	return def
}

// address reads a URL with one of the schemes. What follows the scheme is
// read by whoever opens it. A bad value is not repeated in the error beyond
// its scheme: it may hold a password.
func (r *reader) address(name, def string, schemes ...string) string {
	v := r.text(name, def)
	if v == "" {
		return ""
	}
	scheme, rest, ok := strings.Cut(v, ":")
	if !ok || rest == "" || !slices.Contains(schemes, scheme) {
		r.bad(name, "a URL that begins with "+strings.Join(schemes, ": or ")+":", scheme)
		return def
	}
	if strings.HasPrefix(scheme, "http") {
		if u, err := url.Parse(v); err != nil || u.Host == "" {
			r.bad(name, "a URL with a host", scheme+":…")
			return def
		}
		v = strings.TrimSuffix(v, "/")
	}
	return v
}
