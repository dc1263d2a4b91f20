package login

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// clientAddress tells where a request comes from: the peer of the connection,
// or, behind hops trusted proxies that each append to X-Forwarded-For, the
// entry that the outermost of them wrote. What stands left of that entry is
// the client's own claim. An IPv6 address counts as its /64 network, since one
// client has all of that.
func clientAddress(r *http.Request, hops int) string {
	if hops > 0 {
		chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if len(chain) >= hops {
			if a, ok := network(strings.TrimSpace(chain[len(chain)-hops])); ok {
				return a
			}
		}
	}
	if a, ok := network(r.RemoteAddr); ok {
		return a
	}
	return "unknown"
}

// network reads an address with or without port and brackets.
func network(s string) (string, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return "", false
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String(), true
	}
	return netip.PrefixFrom(a, 64).Masked().String(), true
}

// prefersJSON reports whether Accept (RFC 9110, 12.5.1) prefers JSON to plain
// text: by quality first, then by how exactly the type is named, then by
// order. Without a preference it is plain text.
func prefersJSON(accept []string) bool {
	header := strings.Join(accept, ",")
	json, text := rank(header, "application", "json"), rank(header, "text", "plain")
	switch {
	case json.quality != text.quality:
		return json.quality > text.quality
	case json.exactness != text.exactness:
		return json.quality > 0 && json.exactness > text.exactness
	default:
		return json.exactness > 0 && json.position < text.position
	}
}

type preference struct {
	quality   float64 // 0 to 1
	exactness int     // 2: type/subtype, 1: type/*, 0: */* or not at all
	position  int
}

// rank finds the most exact range of the header that takes the media type.
func rank(header, kind, subtype string) preference {
	best := preference{exactness: -1}
	for i, part := range strings.Split(header, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		exactness := -1
		switch name {
		case kind + "/" + subtype:
			exactness = 2
		case kind + "/*":
			exactness = 1
		case "*/*":
			exactness = 0
		}
		if exactness <= best.exactness {
			continue
		}
		best = preference{quality: quality(params), exactness: exactness, position: i}
	}
	best.exactness = max(best.exactness, 0)
	return best
}

// quality reads q; one that makes no sense counts as not wanted.
func quality(params map[string]string) float64 {
	q, there := params["q"]
	if !there {
		return 1
	}
	v, err := strconv.ParseFloat(q, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return 0
	}
	return v
}
