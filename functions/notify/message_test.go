package notify

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/mailtest"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

// told delivers the outcome of the job and returns its mail.
func told(t *testing.T, w *world, j job.Job) mailtest.Mail {
	t.Helper()
	w.deliver(t, outcome(t, j), http.StatusNoContent)
	mails := w.mails(t)
	if len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	return mails[0]
}

func TestTheMailOfADoneJob(t *testing.T) {
	w := start(t)
	j := w.done(t, "Füße 東京.mp4")
	m := told(t, w, j)
	if m.Subject != "Ready: Füße 東京.mp4" || m.Header.Get("To") != "<anna@example.com>" {
		t.Errorf("subject %q, to %q", m.Subject, m.Header.Get("To"))
	}
	if want := "<" + j.ID + ".0.done@alchemist.example>"; m.Header.Get("Message-ID") != want {
		t.Errorf("Message-ID %s, want %s", m.Header.Get("Message-ID"), want)
	}
	if at, err := m.Header.Date(); err != nil || at.Sub(j.EndedAt).Abs() > time.Second {
		t.Errorf("date %v, %v; want that of the end, %v", at, err, j.EndedAt)
	}
	for _, body := range []string{m.Text, html.UnescapeString(m.HTML)} {
		for _, want := range []string{"Füße 東京.mp4", "Füße 東京.mp3", "10:03", "14 MB", "7 days", "https://alchemist.example/app/"} {
			if !strings.Contains(body, want) {
				t.Errorf("no %q in\n%s", want, body)
			}
		}
	}
}

func TestTheLinkWorksForSevenDays(t *testing.T) {
	w := start(t)
	j := w.done(t, "talk.mp4")
	m := told(t, w, j)
	inText := regexp.MustCompile(`Download: (\S+)\n`).FindStringSubmatch(m.Text)
	inHTML := regexp.MustCompile(`href="([^"]*signature[^"]*)"`).FindStringSubmatch(m.HTML)
	if inText == nil || inHTML == nil || html.UnescapeString(inHTML[1]) != inText[1] {
		t.Fatalf("links %q and %q", inText, inHTML)
	}
	u, err := url.Parse(inText[1])
	if err != nil || u.Scheme != "https" || u.Host != "alchemist.example" || u.Path != "/app/download" {
		t.Fatalf("link %s, %v", u, err)
	}
	const week = 7 * 24 * time.Hour
	for ahead, valid := range map[time.Duration]bool{0: true, week - time.Minute: true, week + time.Second: false} {
		links := token.NewLinks(make([]byte, 32), func() time.Time { return time.Now().Add(ahead) })
		fid, err := links.Verify(u.Query())
		if valid && (err != nil || fid != j.Results[0].FID) || !valid && !fail.Is(err, fail.Unauthorized) {
			t.Errorf("after %v: %s, %v", ahead, fid, err)
		}
	}
}

func TestTheMailOfAFailedJob(t *testing.T) {
	w := start(t)
	j := w.Failed(t, w.owner, "The file has no sound & no <picture>.")
	m := told(t, w, j)
	if m.Subject != "Not converted: talk.mp4" || !strings.Contains(m.Header.Get("Message-ID"), ".0.failed@") {
		t.Errorf("subject %q, Message-ID %s", m.Subject, m.Header.Get("Message-ID"))
	}
	if !strings.Contains(m.Text, "The reason: The file has no sound & no <picture>.\n") ||
		!strings.Contains(m.HTML, "The reason: The file has no sound &amp; no &lt;picture&gt;.") {
		t.Errorf("no reason in\n%s\n%s", m.Text, m.HTML)
	}
	for _, body := range []string{m.Text, m.HTML} {
		if !strings.Contains(body, "https://alchemist.example/app/") || strings.Contains(body, "signature") {
			t.Errorf("no address, or a link to nothing, in\n%s", body)
		}
	}
}

func TestHostileNamesStayText(t *testing.T) {
	for name, file := range map[string]string{
		"script":       `<script>alert("x")</script>.mp4`,
		"closing tag":  `</strong><a href="https://evil.example">click.mp4`,
		"template":     `{{.Reason}}.mp4`,
		"encoded word": `=?utf-8?q?=0D=0ABcc:_b@example.com?=.mp4`,
		"line break":   "a\r\nBcc: b@example.com\r\n\r\nbody.mp4",
		"long":         strings.Repeat("東", 400) + ".mp4",
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			j := w.done(t, job.CleanName(file))
			m := told(t, w, j)
			if len(m.Header["Bcc"]) != 0 {
				t.Error("the name became a header")
			}
			for _, bad := range []string{"<script", "evil.example\"", "</strong><a"} {
				if strings.Contains(m.HTML, bad) {
					t.Errorf("%q in\n%s", bad, m.HTML)
				}
			}
			if !strings.Contains(m.Text, j.Name) || !strings.Contains(html.UnescapeString(m.HTML), j.Name) {
				t.Errorf("the name is not told as it is:\n%s\n%s", m.Text, m.HTML)
			}
			subject := strings.TrimPrefix(m.Subject, "Ready: ")
			if n := utf8.RuneCountInString(subject); n > maxSubjectName || n < maxSubjectName && subject != j.Name {
				t.Errorf("subject %q", m.Subject)
			}
		})
	}
}

func TestMessageIDsAreValidWhateverTheHost(t *testing.T) {
	j := job.Job{ID: job.NewID(), Run: 3, State: job.Failed}
	for host, want := range map[string]string{
		"alchemist.example": "alchemist.example", "127.0.0.1": "127.0.0.1", "::1": "localhost", "": "localhost", "bücher.example": "localhost",
	} {
		got := messageID(j, host)
		if got != j.ID+".3.failed@"+want || mail.CheckID(got) != nil {
			t.Errorf("for %q: %s", host, got)
		}
	}
}

func TestLength(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00", 999 * time.Millisecond: "0:01", 59 * time.Second: "0:59", 10*time.Minute + 3*time.Second: "10:03",
		time.Hour: "1:00:00", 26*time.Hour + 61*time.Second: "26:01:01",
	} {
		if got := length(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 9_949: "9.9 kB", 9_950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		14_400_000: "14 MB", 2 << 30: "2.1 GB", 5e12: "5.0 TB", 5e15: "5000 TB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
