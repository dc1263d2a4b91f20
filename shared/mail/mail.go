// Package mail is the contract of what sends mail, and composes the mails, so
// that every sender sends the same. Package mailtest holds the conformance
// suite.
package mail

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Message is a mail to one person.
type Message struct {
	ID      string    // the Message-ID without its angle brackets: see CheckID; one that is sent again has the same
	To      string    // the bare address of the recipient
	Subject string    // one line of any Unicode text
	Text    string    // the mail as plain text
	HTML    string    // the same as HTML; may be empty
	Date    time.Time // zero means the time of sending
}

// Sender sends mail. Safe for concurrent use.
type Sender interface {
	// Send returns once the message has been taken over for good by whoever
	// delivers it. fail.Invalid: the message or its recipient is refused for
	// good. fail.Unavailable: it has not been taken, and may be sent again
	// later; in rare cases (an answer that got lost) it has been taken, which
	// the recipient knows by its ID. No error names the recipient.
	Send(ctx context.Context, m Message) error
}

// maxID is the longest ID, in bytes: it fits a line and a file name.
const maxID = 200

var validID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+=-]*@[A-Za-z0-9][A-Za-z0-9.-]*$`)

// CheckID returns fail.Invalid unless the id is left@right of letters, digits
// and . _ + = - (on the right only . and -), at most 200 bytes. Such an id
// needs no quoting in a mail and is a file name.
func CheckID(id string) error {
	if len(id) > maxID || !validID.MatchString(id) {
		return fail.New(fail.Invalid, "The mail has no valid Message-ID.")
	}
	return nil
}

// CheckFrom returns fail.Invalid unless from is one address, with or without
// a display name, as in "Audio-Alchemist <noreply@example.org>".
func CheckFrom(from string) error {
	if _, err := mail.ParseAddress(from); err != nil || strings.ContainsFunc(from, unicode.IsControl) {
		return fail.New(fail.Invalid, "The sender of mails is not an email address.")
	}
	return nil
}

// Check returns fail.Invalid for a message that nobody can send: an ID or a
// recipient that is none, a subject that is empty or of more than one line,
// no text.
func (m Message) Check() error {
	if err := CheckID(m.ID); err != nil {
		return err
	}
	to, err := mail.ParseAddress(m.To)
	if err != nil || to.Address != m.To || strings.ContainsFunc(m.To, unicode.IsControl) {
		return fail.New(fail.Invalid, "The recipient of the mail is not an email address.")
	}
	if m.Subject == "" || strings.ContainsFunc(m.Subject, unicode.IsControl) {
		return fail.New(fail.Invalid, "The subject of the mail is not one line of text.")
	}
	if m.Text == "" {
		return fail.New(fail.Invalid, "The mail has no text.")
	}
	return nil
}

// Compose makes the mail (RFC 5322, MIME) of a message: text, and HTML as its
// alternative. It is fail.Invalid where CheckFrom or Check says so.
func Compose(from string, m Message) (*gomail.Msg, error) {
	if err := CheckFrom(from); err != nil {
		return nil, err
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.From(from), msg.To(m.To)); err != nil {
		// The cause quotes the address, which no log may show.
		return nil, fail.New(fail.Invalid, "The mail has an invalid address.")
	}
	msg.SetMessageIDWithValue(m.ID)
	msg.Subject(literal(m.Subject))
	if !m.Date.IsZero() {
		msg.SetDateWithValue(m.Date.UTC())
	}
	// No answering machine answers it (RFC 3834).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

// literal protects ASCII text that looks like an encoded word (RFC 2047), which
// readers would decode, by encoding it once more. All other text the library
// encodes where it needs it.
func literal(s string) string {
	if !strings.Contains(s, "=?") || strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) {
		return s
	}
	const longest = 45 // bytes; as base64 in an encoded word at most 75 characters
	var words []string
	for piece := range slices.Chunk([]byte(s), longest) {
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString(piece)+"?=")
	}
	return strings.Join(words, " ")
}

// Write composes the mail of a message and writes it to w, in lines that end
// in CRLF.
func Write(w io.Writer, from string, m Message) error {
	msg, err := Compose(from, m)
	if err != nil {
		return err
	}
	_, err = msg.WriteTo(w)
	return fail.Wrap(fail.Unavailable, err, "write mail %s", m.ID)
}
