// Package mailtest is the conformance suite of mail.Sender: every
// implementation passes it.
package mailtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
)

// From is the address that the sender under test sends from.
const From = "Audio-Älchemist <noreply@example.org>"

// Inbox returns every mail that has arrived so far, as it arrived.
type Inbox func() [][]byte

// Run holds a sender against the sentences of the contract. open returns a
// new sender, which sends from From, and the empty inbox of all recipients.
func Run(t *testing.T, open func(t *testing.T) (mail.Sender, Inbox)) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, mail.Sender, Inbox){
		"what is sent arrives":                testArrives,
		"a mail needs no HTML":                testTextOnly,
		"any text arrives as it is":           testText,
		"a mail without a date gets one":      testDate,
		"a message that is none is refused":   testInvalid,
		"a cancelled context sends nothing":   testCancelled,
		"many mails are sent side by side":    testConcurrent,
		"an international subject is decoded": testSubjects,
	} {
		t.Run(name, func(t *testing.T) {
			s, inbox := open(t)
			test(t, s, inbox)
		})
	}
}

// Message returns a valid message; n makes its ID.
func Message(n int) mail.Message {
	return mail.Message{
		ID: strconv.Itoa(n) + ".0.done@example.org", To: "anna@example.com", Subject: "Füße 東京 🎬 are ready",
		Text: "Hällo Anna,\n\nhere it is: https://example.org/?a=b&c=d\n", HTML: "<p>Hällo <b>Anna</b></p>\n",
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// Mail is a mail as its reader sees it.
type Mail struct {
	Header     netmail.Header
	Subject    string
	Text, HTML string // lines end in \n
}

// Parse reads a mail that arrived.
func Parse(t *testing.T, raw []byte) Mail {
	t.Helper()
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("not a mail: %v\n%s", err, raw)
	}
	m := Mail{Header: msg.Header}
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		t.Fatalf("subject: %v", err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatalf("content type: %v", err)
	}
	if kind != "multipart/alternative" {
		m.add(t, kind, params, msg.Header.Get("Content-Transfer-Encoding"), msg.Body)
		return m
	}
	for parts := multipart.NewReader(msg.Body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m
		}
		if err != nil {
			t.Fatalf("parts: %v", err)
		}
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			t.Fatalf("content type of a part: %v", err)
		}
		m.add(t, kind, params, part.Header.Get("Content-Transfer-Encoding"), part)
	}
}

func (m *Mail) add(t *testing.T, kind string, params map[string]string, encoding string, r io.Reader) {
	t.Helper()
	if encoding != "quoted-printable" || !strings.EqualFold(params["charset"], "utf-8") {
		t.Fatalf("a part in %s, %v", encoding, params)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(r))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(body), "\r\n", "\n")
	switch kind {
	case "text/plain":
		m.Text = text
	case "text/html":
		m.HTML = text
	default:
		t.Fatalf("a part of type %s", kind)
	}
}

func send(t *testing.T, s mail.Sender, inbox Inbox, m mail.Message) Mail {
	t.Helper()
	before := len(inbox())
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatalf("Send: %v", err)
	}
	all := inbox()
	if len(all) != before+1 {
		t.Fatalf("%d mails arrived, want 1", len(all)-before)
	}
	for _, raw := range all {
		if got := Parse(t, raw); got.Header.Get("Message-ID") == "<"+m.ID+">" {
			return got
		}
	}
	t.Fatalf("no mail with the ID %s", m.ID)
	return Mail{}
}

func testArrives(t *testing.T, s mail.Sender, inbox Inbox) {
	want := Message(1)
	got := send(t, s, inbox, want)
	if got.Subject != want.Subject || got.Text != want.Text || got.HTML != want.HTML {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if at, err := got.Header.Date(); err != nil || !at.Equal(want.Date) {
		t.Errorf("date %v, %v", at, err)
	}
	from, err := got.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "Audio-Älchemist" || from[0].Address != "noreply@example.org" {
		t.Errorf("from %v, %v", from, err)
	}
	to, err := got.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != want.To {
		t.Errorf("to %v, %v", to, err)
	}
	if got.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Error("not marked as made by a machine")
	}
}

func testTextOnly(t *testing.T, s mail.Sender, inbox Inbox) {
	m := Message(1)
	m.HTML = ""
	if got := send(t, s, inbox, m); got.Text != m.Text || got.HTML != "" {
		t.Errorf("got %+v", got)
	}
}

func testText(t *testing.T, s mail.Sender, inbox Inbox) {
	for i, text := range []string{
		".\n..\n.leading dots\n", strings.Repeat("long ", 2000) + "\n", strings.Repeat("x", 5000) + "\n",
		"=3D trailing space \nFrom the start of a line\n", "no line break at the end", "東京 🎬 \u00a0\n",
	} {
		m := Message(i)
		m.Text = text
		// SMTP ends every mail with a line break.
		if got := send(t, s, inbox, m).Text; strings.TrimSuffix(got, "\n") != strings.TrimSuffix(text, "\n") {
			t.Errorf("got %.80q, want %.80q", got, text)
		}
	}
}

func testSubjects(t *testing.T, s mail.Sender, inbox Inbox) {
	for i, subject := range []string{
		"plain", "ü", `"quoted" <brackets> =?utf-8?q?x?=`, strings.Repeat("東京", 150), strings.Repeat("word ", 100) + "end",
		strings.Repeat("=?utf-8?q?=0D=0ABcc:_b@example.com?= ", 20) + "end",
	} {
		m := Message(i)
		m.Subject = subject
		if got := send(t, s, inbox, m).Subject; got != subject {
			t.Errorf("got %q, want %q", got, subject)
		}
	}
}

func testDate(t *testing.T, s mail.Sender, inbox Inbox) {
	m := Message(1)
	m.Date = time.Time{}
	got := send(t, s, inbox, m)
	if at, err := got.Header.Date(); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("date %v, %v; want about now", at, err)
	}
}

func testInvalid(t *testing.T, s mail.Sender, inbox Inbox) {
	for name, change := range map[string]func(*mail.Message){
		"no recipient":                    func(m *mail.Message) { m.To = "" },
		"no address":                      func(m *mail.Message) { m.To = "anna" },
		"two recipients":                  func(m *mail.Message) { m.To = "a@example.com, b@example.com" },
		"recipient with a name":           func(m *mail.Message) { m.To = "Anna <a@example.com>" },
		"header in the recipient":         func(m *mail.Message) { m.To = "a@example.com\r\nBcc: b@example.com" },
		"command in the recipient":        func(m *mail.Message) { m.To = "a@example.com>\r\nRCPT TO:<b@example.com" },
		"no subject":                      func(m *mail.Message) { m.Subject = "" },
		"header in the subject":           func(m *mail.Message) { m.Subject = "x\r\nBcc: b@example.com" },
		"line feed in the subject":        func(m *mail.Message) { m.Subject = "x\nBcc: b@example.com" },
		"no text":                         func(m *mail.Message) { m.Text = "" },
		"no ID":                           func(m *mail.Message) { m.ID = "" },
		"ID without a right side":         func(m *mail.Message) { m.ID = "x" },
		"header in the ID":                func(m *mail.Message) { m.ID = "x@y>\r\nBcc: b@example.com" },
		"ID that is a path":               func(m *mail.Message) { m.ID = "../../x@y" },
		"ID that is longer than a name":   func(m *mail.Message) { m.ID = strings.Repeat("x", 300) + "@y" },
		"ID with an international letter": func(m *mail.Message) { m.ID = "ä@y" },
	} {
		m := Message(1)
		change(&m)
		err := s.Send(t.Context(), m)
		if !fail.Is(err, fail.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "example.com") {
			t.Errorf("%s: the error names the recipient: %v", name, err)
		}
	}
	if n := len(inbox()); n != 0 {
		t.Errorf("%d mails arrived", n)
	}
}

func testCancelled(t *testing.T, s mail.Sender, inbox Inbox) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Send(ctx, Message(1))
	if !errors.Is(err, context.Canceled) || !fail.Is(err, fail.Unavailable) {
		t.Errorf("Send: %v, want unavailable for context canceled", err)
	}
	if n := len(inbox()); n != 0 {
		t.Errorf("%d mails arrived", n)
	}
}

func testConcurrent(t *testing.T, s mail.Sender, inbox Inbox) {
	const n = 12
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := s.Send(t.Context(), Message(i)); err != nil {
				t.Errorf("Send: %v", err)
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for _, raw := range inbox() {
		ids[Parse(t, raw).Header.Get("Message-ID")] = true
	}
	if len(ids) != n {
		t.Errorf("%d different mails arrived, want %d", len(ids), n)
	}
}
