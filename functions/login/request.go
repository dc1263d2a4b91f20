package login

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// clientAddress tells where a request comes from: the peer of the connection,
// or an entry of X-Forwarded-For, to which each proxy appends. Which one is
// known by how many proxies there are, or by the networks that they are in,
// where that varies: then it is the last entry that is no proxy's, or the
// first one if all are. What stands left of it is the client's own claim.
// An IPv6 address counts as its /64 network, since one client has all of that.
func clientAddress(r *http.Request, hops int, proxies []netip.Prefix) string {
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	peer, ok := address(r.RemoteAddr)
	switch {
	case len(proxies) > 0:
		at, known := beyond(proxies, append(chain, r.RemoteAddr))
		if known {
			peer, ok = at, true
		}
	case hops > 0 && len(chain) >= hops:
		if at, known := address(chain[len(chain)-hops]); known {
			peer, ok = at, true
		}
	}
	switch {
	case !ok:
		return "unknown"
	case peer.Is4():
		return peer.String()
	default:
		return netip.PrefixFrom(peer, 64).Masked().String()
	}
}

// beyond goes from the end of the chain to the first address that is no
// proxy's. An entry that is no address ends it: what is left of that is
// anybody's claim.
func beyond(proxies []netip.Prefix, chain []string) (found netip.Addr, ok bool) {
	for _, entry := range slices.Backward(chain) {
		at, known := address(entry)
		if !known {
			break
		}
		found, ok = at, true
		if !slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(at) }) {
			break
		}
	}
	return found, ok
}

// address reads one with or without port and brackets.
func address(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap().WithZone(""), err == nil
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
