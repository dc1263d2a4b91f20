package user

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Limits of a password.
const (
	MinPassword = 8    // in characters
	MaxPassword = 1024 // in bytes
)

// The cost of a new hash: the first of OWASP's equivalent settings for
// argon2id, with m in KiB.
const (
	costMemory  = 47104
	costTime    = 1
	costThreads = 1
	saltBytes   = 16
	keyBytes    = 32
)

// What a stored hash may ask for, so that a forged one cannot take the
// machine down.
const (
	maxMemory  = 64 << 10 // KiB
	maxTime    = 16
	maxThreads = 16
)

// CheckPassword returns fail.Invalid, with a text for the client, for a
// password that is shorter than MinPassword characters, longer than
// MaxPassword bytes, or no UTF-8.
func CheckPassword(password string) error {
	if err := checkText(password); err != nil {
		return err
	}
	if utf8.RuneCountInString(norm.NFC.String(password)) < MinPassword {
		return fail.New(fail.Invalid, "The password is shorter than %d characters.", MinPassword)
	}
	return nil
}

// CheckOldPassword is CheckPassword for a password that was chosen under
// other rules: it may be short, but not empty.
func CheckOldPassword(password string) error {
	if password == "" {
		return fail.New(fail.Invalid, "The password is empty.")
	}
	return checkText(password)
}

func checkText(password string) error {
	switch {
	case len(password) > MaxPassword:
		return fail.New(fail.Invalid, "The password is longer than %d bytes.", MaxPassword)
	case !utf8.ValidString(password):
		return fail.New(fail.Invalid, "The password is not valid UTF-8.")
	}
	return nil
}

// NewPassword makes a random password of 100 bits in four readable groups,
// without letters that are taken for digits (Crockford's base 32).
func NewPassword() string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	var raw [20]byte
	_, _ = rand.Read(raw[:]) // never fails: see crypto/rand
	var b strings.Builder
	for i, r := range raw {
		if i > 0 && i%5 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[r%32])
	}
	return b.String()
}

// phc is a password hash in the parts of its PHC string:
// $argon2id$v=19$m=47104,t=1,p=1$salt$hash
type phc struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

func newPHC(password string) phc {
	p := phc{memory: costMemory, time: costTime, threads: costThreads, salt: make([]byte, saltBytes)}
	_, _ = rand.Read(p.salt) // never fails: see crypto/rand
	p.key = p.derive(password, keyBytes)
	return p
}

func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.key))
}

// derive does the work: memory KiB, time passes. Composed and decomposed
// spellings of one password give the same key.
func (p phc) derive(password string, length uint32) []byte {
	return argon2.IDKey([]byte(norm.NFC.String(password)), p.salt, p.time, p.memory, p.threads, length)
}

// matches compares in constant time.
func (p phc) matches(password string) bool {
	key := p.derive(password, uint32(len(p.key))) //nolint:gosec // at most 64: see parsePHC
	return subtle.ConstantTimeCompare(key, p.key) == 1
}

var errHash = errors.New("not an argon2id hash that is taken here")

// parsePHC reads a hash and refuses one whose parameters are out of bounds.
func parsePHC(s string) (phc, error) {
	var p phc
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errHash
	}
	_, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads)
	if err != nil || parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.time, p.threads) {
		return p, errHash
	}
	if p.threads < 1 || p.threads > maxThreads || p.time < 1 || p.time > maxTime ||
		p.memory < 8*uint32(p.threads) || p.memory > maxMemory {
		return p, errHash
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return p, errHash
	}
	p.salt, p.key = salt, key
	return p, nil
}
