package download

import (
	"strings"
)

// disposition is the Content-Disposition (RFC 6266) that saves under the name:
// in ASCII for every client, and where that is not the whole truth, in UTF-8
// (RFC 8187), which takes precedence.
func disposition(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	ascii := strings.Map(func(r rune) rune {
		// Quotes and backslashes could be escaped, but not all clients unescape;
		// some decode %.
		if r < ' ' || r > '~' || strings.ContainsRune(`"\/%`, r) {
			return '_'
		}
		return r
	}, name)
	value := `attachment; filename="` + ascii + `"`
	if ascii != name {
		value += `; filename*=UTF-8''` + percent(name)
	}
	return value
}

// percent encodes all but attr-char of RFC 8187, 3.2.1.
func percent(s string) string {
	const plain = "!#$&+-.^_`|~"
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(plain, c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
