// Package user describes the people who use the service: their addresses,
// their passwords, and how a password is kept.
package user

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// MaxEmail is the longest email address taken, in bytes (RFC 5321, 4.5.3.1.3,
// less the angle brackets).
const MaxEmail = 254

// User is one account.
type User struct {
	ID           string    // a UUID; it never changes
	Email        string    // as NormalizeEmail returns it; unique
	PasswordHash string    `json:"-"` // a PHC string made by Hasher.Hash
	Admin        bool      // may see and delete what belongs to others
	Disabled     bool      // may not log in
	CreatedAt    time.Time // UTC
}

// NormalizeEmail returns the one spelling of an address that is stored and
// looked up: without surrounding space, in lower case, Unicode composed (NFC).
// It does not judge the address; see CheckEmail.
func NormalizeEmail(email string) string {
	return norm.NFC.String(strings.ToLower(strings.TrimSpace(email)))
}

// CheckEmail returns fail.Invalid, with a text for the client, unless the
// normalised address is a plain one of at most MaxEmail bytes: valid UTF-8, no
// display name, no comment, no quoted local part, no address literal, no
// control characters.
func CheckEmail(email string) error {
	if !utf8.ValidString(email) {
		return fail.New(fail.Invalid, "The email address is not valid UTF-8.")
	}
	email = NormalizeEmail(email)
	if email == "" {
		return fail.New(fail.Invalid, "The email address is missing.")
	}
	if len(email) > MaxEmail {
		return fail.New(fail.Invalid, "The email address is longer than %d bytes.", MaxEmail)
	}
	// net/mail unfolds, unquotes and drops comments: what it gives back equals
	// the input only for a plain address.
	a, err := mail.ParseAddress(email)
	if err != nil || a.Name != "" || a.Address != email ||
		strings.ContainsAny(email, "[]:<>") || strings.ContainsFunc(email, unprintable) {
		return fail.New(fail.Invalid, "This is not an email address.")
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
