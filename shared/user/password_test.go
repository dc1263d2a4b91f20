package user

import (
	"regexp"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestCheckPassword(t *testing.T) {
	tests := map[string]struct {
		in   string
		want string // in the text for the client; empty if it is taken
	}{
		"eight letters":               {"abcdefgh", ""},
		"eight letters of many bytes": {"пароль88", ""},
		"1024 bytes":                  {strings.Repeat("x", 1024), ""},
		"spaces count":                {"a b c d ", ""},
		"seven letters":               {"abcdefg", "shorter than 8 characters"},
		"seven letters of many bytes": {"пароль8", "shorter than 8 characters"},
		"accents are no characters":   {"abcde\u0301f\u0301", "shorter than 8 characters"},
		"empty":                       {"", "shorter than 8 characters"},
		"1025 bytes":                  {strings.Repeat("x", 1025), "longer than 1024 bytes"},
		"not UTF-8":                   {"abcdefgh\xff", "not valid UTF-8"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := CheckPassword(tt.in)
			if tt.want == "" {
				if err != nil {
					t.Fatalf("CheckPassword = %v", err)
				}
				return
			}
			if !fail.Is(err, fail.Invalid) || !strings.Contains(fail.Detail(err), tt.want) {
				t.Fatalf("CheckPassword = %v, want fail.Invalid with %q", err, tt.want)
			}
		})
	}
}

func TestCheckOldPassword(t *testing.T) {
	for in, taken := range map[string]bool{
		"x": true, "пароль": true, strings.Repeat("x", 1024): true,
		"": false, strings.Repeat("x", 1025): false, "abcdefgh\xff": false,
	} {
		if err := CheckOldPassword(in); (err == nil) != taken || err != nil && !fail.Is(err, fail.Invalid) {
			t.Errorf("CheckOldPassword(%.20q) = %v, want taken: %v", in, err, taken)
		}
	}
}

func TestNewPasswordIsReadableAndRandom(t *testing.T) {
	shape := regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{5}(-[0-9a-hjkmnp-tv-z]{5}){3}$`)
	seen := map[string]bool{}
	for range 1000 {
		p := NewPassword()
		if !shape.MatchString(p) {
			t.Fatalf("NewPassword = %q", p)
		}
		if seen[p] {
			t.Fatalf("%q came twice", p)
		}
		if err := CheckPassword(p); err != nil {
			t.Fatal(err)
		}
		seen[p] = true
	}
}

func TestParsePHCRefusesWhatIsNotOurs(t *testing.T) {
	const (
		salt = "c29tZXNhbHRzb21lc2FsdA"
		key  = "8bqOVgSrBDdU1jGKmMdJ+NXX9qK4QMSBeVdyRTVkcCw"
	)
	good := "$argon2id$v=19$m=47104,t=1,p=1$" + salt + "$" + key
	if p, err := parsePHC(good); err != nil || p.String() != good {
		t.Fatalf("parsePHC(%q) = %v, %v", good, p, err)
	}
	tests := map[string]string{
		"empty":              "",
		"argon2i":            strings.Replace(good, "argon2id", "argon2i", 1),
		"old version":        strings.Replace(good, "v=19", "v=16", 1),
		"bcrypt":             "$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"memory of 4 TiB":    strings.Replace(good, "m=47104", "m=4294967295", 1),
		"memory over 64 MiB": strings.Replace(good, "m=47104", "m=65537", 1),
		"memory wraps round": strings.Replace(good, "m=47104", "m=4295014400", 1),
		"no memory":          strings.Replace(good, "m=47104", "m=0", 1),
		"no pass":            strings.Replace(good, "t=1", "t=0", 1),
		"a million passes":   strings.Replace(good, "t=1", "t=1000000", 1),
		"no thread":          strings.Replace(good, "p=1", "p=0", 1),
		"many threads":       strings.Replace(good, "p=1", "p=255", 1),
		"negative":           strings.Replace(good, "t=1", "t=-1", 1),
		"another order":      strings.Replace(good, "m=47104,t=1", "t=1,m=47104", 1),
		"leading zero":       strings.Replace(good, "t=1", "t=01", 1),
		"more parameters":    strings.Replace(good, "p=1", "p=1,x=2", 1),
		"salt not base64":    strings.Replace(good, salt, "!!!!", 1),
		"salt too short":     strings.Replace(good, salt, "c2FsdA", 1),
		"no key":             strings.Replace(good, key, "", 1),
		"key too long":       strings.Replace(good, key, strings.Repeat("A", 88), 1),
		"padding":            good + "=",
		"one part more":      good + "$x",
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			if p, err := parsePHC(in); err == nil {
				t.Errorf("parsePHC(%q) = %+v, want an error", in, p)
			}
		})
	}
}
