package user

import (
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestNormalizeEmailGivesOneSpelling(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"case and space": {"  Anna@Example.ORG\n", "anna@example.org"},
		"decomposed":     {"jose\u0301@example.org", "jos\u00e9@example.org"},
		"already":        {"a@b", "a@b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := NormalizeEmail(tt.in)
			if got != tt.want {
				t.Errorf("NormalizeEmail(%q) = %q, want %q", tt.in, got, tt.want)
			}
			if again := NormalizeEmail(got); again != got {
				t.Errorf("normalised twice: %q", again)
			}
		})
	}
}

func TestCheckEmailTakesPlainAddressesOnly(t *testing.T) {
	long := strings.Repeat("a", 60) + "@" + strings.Repeat("b.", 96) + "c"
	tests := map[string]struct {
		in string
		ok bool
	}{
		"plain":              {"anna@example.org", true},
		"upper case":         {"Anna@Example.org", true},
		"plus and dots":      {"a.b+c@mail.example.org", true},
		"no top domain":      {"admin@localhost", true},
		"Unicode":            {"josé@exämple.org", true},
		"254 bytes":          {long, true},
		"255 bytes":          {"a" + long, false},
		"empty":              {"", false},
		"space only":         {"   ", false},
		"no domain":          {"anna@", false},
		"no local part":      {"@example.org", false},
		"two at":             {"a@b@example.org", false},
		"display name":       {"Anna <anna@example.org>", false},
		"angle brackets":     {"<anna@example.org>", false},
		"comment":            {"anna@example.org (home)", false},
		"quoted local part":  {`"a b"@example.org`, false},
		"address literal":    {"anna@[192.0.2.1]", false},
		"list":               {"a@example.org, b@example.org", false},
		"header injection":   {"a@example.org\r\nBcc: b@example.org", false},
		"NUL":                {"a\x00@example.org", false},
		"right to left mark": {"a\u202e@example.org", false},
		"invalid UTF-8":      {"a\xff@example.org", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := CheckEmail(tt.in)
			if tt.ok && err != nil {
				t.Errorf("CheckEmail(%q) = %v", tt.in, err)
			}
			if !tt.ok && !fail.Is(err, fail.Invalid) {
				t.Errorf("CheckEmail(%q) = %v, want fail.Invalid", tt.in, err)
			}
		})
	}
}
