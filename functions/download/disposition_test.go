package download

import (
	"mime"
	"strings"
	"testing"
)

func TestDisposition(t *testing.T) {
	long := strings.Repeat("ä", 296) + ".mp3"
	for name, tt := range map[string]struct{ name, want string }{
		"plain":         {"talk.mp3", `attachment; filename="talk.mp3"`},
		"spaces":        {"my talk (1).mp3", `attachment; filename="my talk (1).mp3"`},
		"quotes":        {`a "b" \c.mp3`, `attachment; filename="a _b_ _c.mp3"; filename*=UTF-8''a%20%22b%22%20%5Cc.mp3`},
		"unicode":       {"é.mp3", `attachment; filename="_.mp3"; filename*=UTF-8''%C3%A9.mp3`},
		"percent":       {"100%41.mp3", `attachment; filename="100_41.mp3"; filename*=UTF-8''100%2541.mp3`},
		"line break":    {"a\r\nX: y.mp3", `attachment; filename="a__X: y.mp3"; filename*=UTF-8''a%0D%0AX%3A%20y.mp3`},
		"apostrophe":    {"l'été.mp3", `attachment; filename="l'_t_.mp3"; filename*=UTF-8''l%27%C3%A9t%C3%A9.mp3`},
		"not UTF-8":     {"\xff.mp3", `attachment; filename="_.mp3"; filename*=UTF-8''%EF%BF%BD.mp3`},
		"300 letters ä": {long, `attachment; filename="` + strings.Repeat("_", 296) + `.mp3"; filename*=UTF-8''` + strings.Repeat("%C3%A4", 296) + ".mp3"},
	} {
		t.Run(name, func(t *testing.T) {
			got := disposition(tt.name)
			if got != tt.want {
				t.Fatalf("got  %s\nwant %s", got, tt.want)
			}
			_, params, err := mime.ParseMediaType(strings.Replace(got, `filename="`, `ascii="`, 1))
			if back := params["filename"]; err != nil || strings.Contains(got, "*=") && back != strings.ToValidUTF8(tt.name, "\uFFFD") {
				t.Errorf("a parser reads %q, %v", back, err)
			}
		})
	}
}
