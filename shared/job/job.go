// Package job is the job that the ledger keeps and its state machine. It is
// pure: no clock, no store.
//
//	received → queued → converting → done | failed
//
// A failed job that is retried becomes received again, in a new run. A job
// that its owner or retention deletes is gone: it has no state.
package job

import (
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// State is where a job stands.
type State string

// The states of a job.
const (
	Received   State = "received"   // its video is stored, its event perhaps not yet published
	Queued     State = "queued"     // the broker has taken its event
	Converting State = "converting" // a delivery holds a lease on it
	Done       State = "done"       // its results are there
	Failed     State = "failed"     // it will not be tried again by itself
)

// States returns every state, in the order of a job's life.
func States() []State { return []State{Received, Queued, Converting, Done, Failed} }

// Ended reports whether the job has an outcome: done or failed.
func (s State) Ended() bool { return s == Done || s == Failed }

// Job is one upload and what became of it. Times are UTC in milliseconds.
type Job struct {
	ID        string // UUID version 7: sorts by time
	Owner     string // id of the user
	Name      string // label of the upload, as CleanName leaves it; never a path
	State     State
	Progress  int    // per cent, 0 to 100
	Error     string // why it failed, in words for its owner; else empty
	Source    string // blob id of the video, in bucket blob.Videos
	Bytes     int64  // size of the video
	Run       int    // 0 for the first, one more for each retry by the owner
	Attempts  int    // claims in this run, ended ones included
	Trace     string // W3C traceparent of the upload
	Options   options.Options
	CreatedAt time.Time
	UpdatedAt time.Time
	EndedAt   time.Time // zero until it has an outcome
	Results   []Result
}

// Result is one file that a conversion made.
type Result struct {
	FID      string // blob id, in bucket blob.Audio
	Name     string // file name for the download
	Format   string // the name of an options.Format
	Bytes    int64
	Duration time.Duration
}

// FIDs returns the blob ids of the results, in order.
func (j Job) FIDs() []string {
	fids := make([]string, 0, len(j.Results))
	for _, r := range j.Results {
		fids = append(fids, r.FID)
	}
	return fids
}

// NewID makes an id for a job: a UUID version 7, so that ids sort by time.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// View is a job as every response of the API shows it.
type View struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	State     State           `json:"state"`
	Progress  int             `json:"progress"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
	Error     *string         `json:"error"`
	Options   options.Options `json:"options"` // {} where nothing was asked for
	Results   []ResultView    `json:"results"`
	Owner     *Owner          `json:"owner,omitempty"` // for administrators only
}

// Owner is whose job it is, as the API shows it.
type Owner struct {
	ID    string `json:"id"`
	Email string `json:"email"` // empty where the account is gone
}

// ResultView is a result as the API shows it.
type ResultView struct {
	FID             string  `json:"fid"`
	Name            string  `json:"name"`
	Format          string  `json:"format"`
	Bytes           int64   `json:"bytes"`
	DurationSeconds float64 `json:"duration_seconds"`
	URL             string  `json:"url"`
}

// View returns the job as the API shows it; link makes the download address
// of a result from its blob id.
func (j Job) View(link func(fid string) string) View {
	v := View{
		ID: j.ID, Name: j.Name, State: j.State, Progress: j.Progress,
		CreatedAt: j.CreatedAt, UpdatedAt: j.UpdatedAt, Options: j.Options,
		Results: make([]ResultView, 0, len(j.Results)),
	}
	if j.Error != "" {
		v.Error = &j.Error
	}
	for _, r := range j.Results {
		v.Results = append(v.Results, ResultView{
			FID: r.FID, Name: r.Name, Format: r.Format, Bytes: r.Bytes,
			DurationSeconds: r.Duration.Seconds(), URL: link(r.FID),
		})
	}
	return v
}

// MaxName is the longest name a job keeps, in characters.
const MaxName = 500

// CleanName makes a label of the file name that a client sent: the last path
// element (of either slash), without control and format characters, valid
// UTF-8, at most MaxName characters with the extension kept; "upload" where
// nothing is left.
func CleanName(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, name))
	if name == "" || name == "." || name == ".." || name == "/" {
		return "upload"
	}
	if n := utf8.RuneCountInString(name); n > MaxName {
		ext := []rune(path.Ext(name))
		if len(ext) > 16 {
			ext = nil
		}
		name = string([]rune(name)[:MaxName-len(ext)]) + string(ext)
	}
	return name
}

// ResultName names the result of a job after its upload: the extension
// replaced by that of the format, the name of an options.Format ("talk.mp4"
// becomes "talk.mp3").
func ResultName(name, format string) string {
	if ext := path.Ext(name); ext != "" && ext != name {
		name = strings.TrimSuffix(name, ext)
	}
	return name + "." + options.Format(format).Extension()
}
