package ledger

import (
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/clock"
)

// letterOf is a dead letter as reconcile writes it down.
func letterOf(j job.Job, e cloudevents.Event) Letter {
	return Letter{
		Job: j.ID, EventID: e.ID(), Type: e.Type(), Source: e.Source(), Subscriber: "http://convert", Status: 503, Answer: "no", Event: &e,
	}
}

// givenUp is a job that has failed because its event could not be delivered.
func givenUp(t *testing.T, l *Ledger) job.Job {
	t.Helper()
	return must(l.GiveUp(t.Context(), create(t, l, "anna").ID, 0, "It was tried several times."))
}

func TestALetterIsKeptAndCounted(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		j := givenUp(t, l)
		d := letterOf(j, UploadedEvent(j))
		first := c.Now()
		for i := range 3 {
			d.Status = 500 + i
			if kept := must(l.KeepLetter(t.Context(), d, 0)); !kept {
				t.Fatal("not kept")
			}
			c.Advance(time.Minute)
		}
		other := d
		other.Subscriber = "http://notify"
		must(l.KeepLetter(t.Context(), other, 0))
		all := must(l.Letters(t.Context(), "", 10))
		if len(all) != 2 || all[0].Subscriber != "http://notify" {
			t.Fatalf("letters %+v", all)
		}
		got := all[1]
		if got.Times != 3 || !got.FirstAt.Equal(first) || !got.LastAt.Equal(first.Add(2*time.Minute)) || got.Status != 502 ||
			got.Job != j.ID || got.Answer != "no" || got.Event == nil || got.Event.String() != UploadedEvent(j).String() {
			t.Errorf("letter %+v", got)
		}
		if page := must(l.Letters(t.Context(), all[0].ID, 10)); len(page) != 1 || page[0].ID != got.ID {
			t.Errorf("second page %+v", page)
		}
		if one := must(l.Letter(t.Context(), got.ID)); one.Times != 3 {
			t.Errorf("one letter %+v", one)
		}
	})
}

func TestALetterThatIsMootIsNotKept(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		failed, waiting, gone := givenUp(t, l), create(t, l, "anna"), givenUp(t, l)
		must(l.DeleteJob(t.Context(), gone.ID))
		outcome, _ := OutcomeEvent(failed)
		for name, tt := range map[string]struct {
			letter Letter
			run    int
			kept   bool
		}{
			"the upload of a failed job":  {letterOf(failed, UploadedEvent(failed)), 0, true},
			"of another run":              {letterOf(failed, UploadedEvent(failed)), 1, false},
			"the outcome of a failed job": {letterOf(failed, outcome), 0, true},
			"of a job that goes on":       {letterOf(waiting, UploadedEvent(waiting)), 0, false},
			"of a deleted job":            {letterOf(gone, UploadedEvent(gone)), 0, false},
			"of no job":                   {letterOf(job.Job{}, UploadedEvent(gone)), 0, true},
		} {
			if kept := must(l.KeepLetter(t.Context(), tt.letter, tt.run)); kept != tt.kept {
				t.Errorf("%s: kept %v", name, kept)
			}
		}
		if n := must(l.Depths(t.Context())).Letters.Count; n != 3 {
			t.Errorf("%d letters", n)
		}
	})
}

func TestWhatIsTooLongIsCut(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		e := cloudevents.New()
		e.SetID(strings.Repeat("ü", 300))
		e.SetType(strings.Repeat("🎬", 300))
		e.SetSource("/" + strings.Repeat("s", 300))
		_ = e.SetData(cloudevents.ApplicationJSON, strings.Repeat("x", MaxLetter))
		d := letterOf(job.Job{}, e)
		d.Subscriber, d.Answer = strings.Repeat("s", 1001), "bad \xff"+strings.Repeat("ü", 1001)
		must(l.KeepLetter(t.Context(), d, 0))
		got := must(l.Letters(t.Context(), "", 1))[0]
		if got.Event != nil || got.EventID != strings.Repeat("ü", 255) || got.Type != strings.Repeat("🎬", 255) || len(got.Source) != 255 ||
			len(got.Subscriber) != 1000 || !strings.HasPrefix(got.Answer, "bad \uFFFDü") || len([]rune(got.Answer)) != 1000 {
			t.Errorf("letter %+v", got)
		}
	})
}

func TestLettersGo(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		var jobs [5]job.Job
		var letters [5]Letter
		for i := range jobs {
			jobs[i] = givenUp(t, l)
			must(l.KeepLetter(t.Context(), letterOf(jobs[i], UploadedEvent(jobs[i])), 0))
			letters[i] = must(l.Letters(t.Context(), "", 1))[0]
			c.Advance(time.Second)
		}
		left := func(want int, after string) {
			t.Helper()
			if got := len(must(l.Letters(t.Context(), "", 10))); got != want {
				t.Errorf("after %s: %d letters, want %d", after, got, want)
			}
		}
		must(l.DeleteJob(t.Context(), jobs[0].ID))
		left(4, "the job was deleted")
		must(l.Retry(t.Context(), jobs[1].ID))
		left(3, "the job was retried")
		if err := l.DropLetter(t.Context(), letters[2].ID); err != nil {
			t.Error(err)
		}
		left(2, "it was dropped")
		wantKind(t, l.DropLetter(t.Context(), letters[2].ID), fail.NotFound)
		if err := l.PruneLetters(t.Context(), letters[4].LastAt); err != nil {
			t.Error(err)
		}
		left(1, "the older ones were pruned")
		must(l.KeepLetter(t.Context(), letterOf(jobs[4], UploadedEvent(jobs[4])), 0))
		if err := l.CloseLetter(t.Context(), letters[4]); err != nil {
			t.Error(err)
		}
		left(1, "it had arrived once more")
		if err := l.CloseLetter(t.Context(), must(l.Letter(t.Context(), letters[4].ID))); err != nil {
			t.Error(err)
		}
		left(0, "its event was sent again")
		_, err := l.Letter(t.Context(), letters[4].ID)
		wantKind(t, err, fail.NotFound)
	})
}

func TestDepths(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		empty := must(l.Depths(t.Context()))
		if len(empty.Jobs) != 5 || empty.Jobs[job.Queued] != (Depth{}) || empty.Notices != (Depth{}) || empty.Letters != (Depth{}) {
			t.Errorf("of an empty ledger: %+v", empty)
		}
		began := c.Now()
		create(t, l, "anna")
		c.Advance(time.Minute)
		create(t, l, "ben")
		failed := givenUp(t, l)
		must(l.KeepLetter(t.Context(), letterOf(failed, UploadedEvent(failed)), 0))
		got := must(l.Depths(t.Context()))
		for name, tt := range map[string]struct {
			got  Depth
			want Depth
		}{
			"received": {got.Jobs[job.Received], Depth{2, began}},
			"failed":   {got.Jobs[job.Failed], Depth{1, began.Add(time.Minute)}},
			"done":     {got.Jobs[job.Done], Depth{}},
			"notices":  {got.Notices, Depth{1, began.Add(time.Minute)}},
			"letters":  {got.Letters, Depth{1, began.Add(time.Minute)}},
		} {
			if tt.got.Count != tt.want.Count || !tt.got.Oldest.Equal(tt.want.Oldest) {
				t.Errorf("%s: %+v, want %+v", name, tt.got, tt.want)
			}
		}
	})
}
