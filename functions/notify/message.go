package notify

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"io"
	"net/url"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
)

//go:embed templates
var templates embed.FS

var (
	texts = texttemplate.Must(texttemplate.ParseFS(templates, "templates/*.txt"))
	pages = htmltemplate.Must(htmltemplate.ParseFS(templates, "templates/*.html"))
)

// maxSubjectName is how much of a file name a subject shows, in characters.
const maxSubjectName = 80

// notice is what the templates show.
type notice struct {
	Name     string
	Uploaded string
	Results  []file
	Reason   string
	Page     string // address of the service
	Days     int    // how long a link works
}

type file struct{ Name, Length, Size, Link string }

// message makes the mail about the outcome of the job. It is the same each
// time, but for what a later link carries.
func (d Deps) message(j job.Job, to string) (mail.Message, error) {
	page, err := url.Parse(d.PublicURL)
	if err != nil {
		return mail.Message{}, fail.Wrap(fail.Internal, err, "parse PUBLIC_URL")
	}
	base := strings.TrimRight(d.PublicURL, "/")
	n := notice{
		Name: j.Name, Uploaded: j.CreatedAt.UTC().Format("2 January 2006, 15:04 UTC"), Reason: j.Error,
		Page: base + "/", Days: int(linkIsValid / (24 * time.Hour)),
	}
	for _, r := range j.Results {
		n.Results = append(n.Results, file{
			Name: r.Name, Length: length(r.Duration), Size: size(r.Bytes),
			Link: base + d.Links.Path(r.FID, linkIsValid),
		})
	}
	m := mail.Message{ID: messageID(j, page.Hostname()), To: to, Date: j.EndedAt}
	template := "failed"
	m.Subject = "Not converted: " + short(j.Name)
	if j.State == job.Done {
		template = "done"
		m.Subject = "Ready: " + short(j.Name)
	}
	if m.Text, err = render(texts, template+".txt", n); err == nil {
		m.HTML, err = render(pages, template+".html", n)
	}
	return m, err
}

// messageID names the mail about this outcome of this run of the job.
func messageID(j job.Job, host string) string {
	id := fmt.Sprintf("%s.%d.%s@", j.ID, j.Run, j.State)
	if mail.CheckID(id+host) != nil { // an IPv6 address, say
		host = "localhost"
	}
	return id + host
}

type template interface {
	ExecuteTemplate(w io.Writer, name string, data any) error
}

func render(t template, name string, n notice) (string, error) {
	var b strings.Builder
	if err := t.ExecuteTemplate(&b, name, n); err != nil {
		return "", fail.Wrap(fail.Internal, err, "render %s", name)
	}
	return b.String(), nil
}

// short makes one line of at most maxSubjectName characters of a name.
func short(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name)
	if r := []rune(name); len(r) > maxSubjectName {
		return string(r[:maxSubjectName-1]) + "…"
	}
	return name
}

// length shows a duration as h:mm:ss or m:ss.
func length(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// size shows a number of bytes in units of a thousand, as file managers do.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	value, unit := float64(n)/1000, "kB"
	for _, larger := range []string{"MB", "GB", "TB"} {
		if value < 999.5 {
			break
		}
		value, unit = value/1000, larger
	}
	if value < 9.95 {
		return fmt.Sprintf("%.1f %s", value, unit)
	}
	return fmt.Sprintf("%.0f %s", value, unit)
}
