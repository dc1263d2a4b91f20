package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// MaxLetter is the most bytes that an event may have, in JSON, to be kept with
// its dead letter and sent again.
const MaxLetter = 64 << 10

// The most characters that a letter keeps of what others have written.
const (
	maxAttribute  = 255
	maxSubscriber = 1000
	maxAnswer     = 1000
)

// Letter is a dead letter: an event that the broker could not deliver to a
// subscriber. Times are UTC in milliseconds.
type Letter struct {
	ID         string // UUID version 7: sorts by time
	Job        string // id of the job that the event is about; empty for an event of no job
	EventID    string // at most 255 characters, as Type and Source
	Type       string
	Source     string
	Subscriber string             // URL of who did not take it, at most 1000 characters; may be empty
	Status     int                // its last HTTP status; -1 where it gave no answer, 0 where nothing is known
	Answer     string             // the beginning of its last answer, at most 1000 characters
	Event      *cloudevents.Event // nil where it has more than MaxLetter bytes
	Times      int                // how often the letter has arrived
	FirstAt    time.Time
	LastAt     time.Time
}

const letterColumns = `id, job_id, event_id, type, source, subscriber, status, answer, event, times, first_at, last_at`

// wanted is the state in which a job of that run is when one of its events is
// worth sending again.
var wanted = map[string]job.State{
	event.TypeVideoUploaded:       job.Failed,
	event.TypeConversionCompleted: job.Done,
	event.TypeConversionFailed:    job.Failed,
}

// KeepLetter writes down a dead letter that has arrived now; one of the same
// event and subscriber counts as the same letter, once more. Job, EventID,
// Type, Source, Subscriber, Status, Answer and Event are the caller's; what is
// too long is cut. Of a letter that names a job, run is the run that its event
// is about: it is not kept, and the answer is false, where that is over, or the
// job has not come to what the event tells of, or is gone.
func (l *Ledger) KeepLetter(ctx context.Context, d Letter, run int) (bool, error) {
	text, err := letterText(d.Event)
	if err != nil {
		return false, err
	}
	d.EventID, d.Type, d.Source = clip(d.EventID, maxAttribute), clip(d.Type, maxAttribute), clip(d.Source, maxAttribute)
	d.Subscriber, d.Answer = clip(d.Subscriber, maxSubscriber), clip(d.Answer, maxAnswer)
	sum := sha256.Sum256([]byte(strings.Join([]string{d.Source, d.EventID, d.Type, d.Subscriber}, "\n")))
	id, same, now := uuid.Must(uuid.NewV7()).String(), hex.EncodeToString(sum[:]), l.now()
	kept := false
	err = l.db.tx(ctx, "keep dead letter", func(ctx context.Context, tx execer) error {
		kept = false
		if d.Job != "" {
			// A change locks the job, so that it is not deleted meanwhile.
			n, err := changed(ctx, tx, `UPDATE jobs SET due_at = due_at WHERE id = ? AND run = ? AND state = ?`, d.Job, run, wanted[d.Type])
			if err != nil || n == 0 {
				return err
			}
		}
		kept = true
		n, err := changed(ctx, tx, `UPDATE dead_letters SET times = times + 1, last_at = ?, status = ?, answer = ? WHERE same = ?`,
			now, d.Status, d.Answer, same)
		if err != nil || n > 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO dead_letters (`+letterColumns+`, same) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)`,
			id, d.Job, d.EventID, d.Type, d.Source, d.Subscriber, d.Status, d.Answer, text, now, now, same)
		return err
	})
	return kept && err == nil, err
}

// letterText is an event as it is kept.
func letterText(e *cloudevents.Event) (string, error) {
	if e == nil {
		return "", nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return "", fail.Wrap(fail.Invalid, err, "write a dead letter")
	}
	if len(text) > MaxLetter {
		return "", nil
	}
	return string(text), nil
}

// clip returns the first n characters, in valid UTF-8.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// Letters returns dead letters, the latest first, at most limit of them;
// before, unless empty, is the id of the last one of the page before.
func (l *Ledger) Letters(ctx context.Context, before string, limit int) ([]Letter, error) {
	where, args := ``, []any{}
	if before != "" {
		where, args = ` WHERE id < ?`, append(args, before)
	}
	args = append(args, limit)
	return read(ctx, l.db, "list dead letters", func(ctx context.Context, x execer) ([]Letter, error) {
		return readLetters(ctx, x, where+` ORDER BY id DESC LIMIT ?`, args...)
	})
}

// Letter reads one dead letter; fail.NotFound where there is none.
func (l *Ledger) Letter(ctx context.Context, id string) (Letter, error) {
	return read(ctx, l.db, "read dead letter "+id, func(ctx context.Context, x execer) (Letter, error) {
		found, err := readLetters(ctx, x, ` WHERE id = ?`, id)
		if err == nil && len(found) == 0 {
			err = noSuchLetter()
		}
		if err != nil {
			return Letter{}, err
		}
		return found[0], nil
	})
}

func noSuchLetter() error { return fail.New(fail.NotFound, "There is no such dead letter.") }

// DropLetter removes a dead letter; fail.NotFound where there is none.
func (l *Ledger) DropLetter(ctx context.Context, id string) error {
	n, err := l.db.change(ctx, "drop dead letter "+id, `DELETE FROM dead_letters WHERE id = ?`, id)
	if err == nil && n == 0 {
		err = noSuchLetter()
	}
	return err
}

// CloseLetter removes a dead letter whose event was sent again, unless it has
// arrived once more since it was read.
func (l *Ledger) CloseLetter(ctx context.Context, d Letter) error {
	_, err := l.db.change(ctx, "close dead letter "+d.ID, `DELETE FROM dead_letters WHERE id = ? AND times = ?`, d.ID, d.Times)
	return err
}

// PruneLetters removes the dead letters that have last arrived before the
// time.
func (l *Ledger) PruneLetters(ctx context.Context, before time.Time) error {
	_, err := l.db.change(ctx, "prune dead letters", `DELETE FROM dead_letters WHERE last_at < ?`, before.UnixMilli())
	return err
}

func readLetters(ctx context.Context, x execer, tail string, args ...any) (letters []Letter, err error) {
	rows, err := x.QueryContext(ctx, `SELECT `+letterColumns+` FROM dead_letters`+tail, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			d           Letter
			text        sql.NullString
			first, last int64
		)
		if err := rows.Scan(&d.ID, &d.Job, &d.EventID, &d.Type, &d.Source, &d.Subscriber, &d.Status, &d.Answer,
			&text, &d.Times, &first, &last); err != nil {
			return nil, err
		}
		if text.String != "" {
			d.Event = &cloudevents.Event{}
			if err := json.Unmarshal([]byte(text.String), d.Event); err != nil {
				return nil, fail.Wrap(fail.Internal, err, "read dead letter %s", d.ID)
			}
		}
		d.FirstAt, d.LastAt = at(first), at(last)
		letters = append(letters, d)
	}
	return letters, rows.Err()
}
