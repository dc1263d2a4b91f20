package media

import (
	"bytes"
	"strings"
)

// messages keeps the beginning and the end of what a program writes to
// stderr, half of keptMessages each, and counts its errors.
type messages struct {
	head, tail []byte
	errors     int
}

const keptMessages = 8 << 10

// Write never fails.
func (m *messages) Write(p []byte) (int, error) {
	m.errors += bytes.Count(p, []byte("[error]")) + bytes.Count(p, []byte("[fatal]"))
	n := min(len(p), keptMessages/2-len(m.head))
	m.head = append(m.head, p[:n]...)
	m.tail = append(m.tail, p[n:]...)
	if over := len(m.tail) - keptMessages/2; over > 0 {
		m.tail = append(m.tail[:0], m.tail[over:]...)
	}
	return len(p), nil
}

// String returns what was kept, as valid UTF-8.
func (m *messages) String() string {
	return strings.TrimSpace(strings.ToValidUTF8(string(m.head)+string(m.tail), "\uFFFD"))
}

// has reports whether one of the texts was written, in what was kept.
func (m *messages) has(texts ...string) bool {
	all := m.String()
	for _, t := range texts {
		if strings.Contains(all, t) {
			return true
		}
	}
	return false
}
