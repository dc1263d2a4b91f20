package ledger

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
	"github.com/opengundumstyle/audio-alchemist/test/clock"
)

func TestAJobIsReadAsItWasWritten(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		made := create(t, l, "anna")
		got := must(l.Job(t.Context(), made.ID))
		if got.State != job.Received || !got.CreatedAt.Equal(c.Now()) || got.Name != "Füße 🎬.mp4" ||
			got.Owner != "anna" || got.Bytes != 42 || got.Source != made.Source || got.Trace != "00-trace" || !got.EndedAt.IsZero() {
			t.Errorf("read %+v", got)
		}
		_, err := l.Job(t.Context(), job.NewID())
		wantKind(t, err, fail.NotFound)
	})
}

func TestListsAreTheOwnersNewestFirstInPages(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		var want []string
		for range 5 {
			want = append([]string{create(t, l, "anna").ID}, want...)
			create(t, l, "ben")
		}
		var got []string
		before := ""
		for {
			page := must(l.Jobs(t.Context(), JobFilter{Owner: "anna"}, before, 2))
			for _, j := range page {
				got = append(got, j.ID)
			}
			if len(page) < 2 {
				break
			}
			before = page[len(page)-1].ID
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

func TestRetryBeginsANewRunOfAFailedJobOnly(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		j := create(t, l, "anna")
		_, err := l.Retry(t.Context(), j.ID)
		wantKind(t, err, fail.Exists)
		must(l.Claim(t.Context(), j.ID, "h1", lease))
		must(l.Fail(t.Context(), j.ID, "h1", "The file has no sound."))
		first, _ := OutcomeEvent(must(l.Job(t.Context(), j.ID)))
		again := must(l.Retry(t.Context(), j.ID))
		if again.State != job.Received || again.Run != 1 || again.Error != "" || again.Attempts != 0 || !again.EndedAt.IsZero() {
			t.Fatalf("retried %+v", again)
		}
		must(l.Claim(t.Context(), j.ID, "h2", lease))
		second, _ := OutcomeEvent(must(l.Fail(t.Context(), j.ID, "h2", "The file has no sound.")))
		if first.ID() == second.ID() {
			t.Error("both runs end in the same event")
		}
		_, err = l.Retry(t.Context(), job.NewID())
		wantKind(t, err, fail.NotFound)
	})
}

func TestDeleteRemovesEverything(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		j := create(t, l, "anna")
		must(l.Claim(t.Context(), j.ID, "h", lease))
		rs := results()
		must(l.Complete(t.Context(), j.ID, "h", rs))
		was := must(l.DeleteJob(t.Context(), j.ID))
		if was.Source != j.Source || !slices.Equal(was.Results, rs) {
			t.Errorf("deleted %+v", was)
		}
		_, _, err := l.Result(t.Context(), rs[0].FID)
		wantKind(t, err, fail.NotFound)
		if ok, err := l.ClaimNotice(t.Context(), j.ID, 0, job.Done, "n", lease); ok || err != nil {
			t.Errorf("a notice is left: %v, %v", ok, err)
		}
		_, err = l.DeleteJob(t.Context(), j.ID)
		wantKind(t, err, fail.NotFound)
	})
}

func TestChangedTellsOfEveryChange(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		ctx := t.Context()
		j := create(t, l, "anna")
		for _, step := range []struct {
			name string
			do   func() error
		}{
			{"queued", func() error { return l.Queued(ctx, j.ID) }},
			{"claimed", func() error { _, err := l.Claim(ctx, j.ID, "h", lease); return err }},
			{"renewed", func() error { return l.Renew(ctx, j.ID, "h", lease, 10) }},
			{"released", func() error { return l.Release(ctx, j.ID, "h") }},
			{"given up", func() error { _, err := l.GiveUp(ctx, j.ID, 0, "x"); return err }},
			{"retried", func() error { _, err := l.Retry(ctx, j.ID); return err }},
			{"postponed", func() error { c.Advance(time.Hour); return l.Postpone(ctx, j.ID) }},
			{"deleted", func() error { _, err := l.DeleteJob(ctx, j.ID); return err }},
		} {
			changed := l.Changed()
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			select {
			case <-changed:
			default:
				t.Errorf("%s: not told", step.name)
			}
		}
		select {
		case <-l.Changed():
			t.Error("a change was told that nobody made")
		default:
		}
	})
}

func TestCreatingAJobTwiceIsCreatingItOnce(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		j := newJob("anna")
		first := must(l.CreateJob(t.Context(), j))
		c.Advance(time.Second)
		if again, err := l.CreateJob(t.Context(), j); err != nil || !again.CreatedAt.Equal(first.CreatedAt) {
			t.Errorf("the second time: %+v, %v", again, err)
		}
		j.Owner = "ben"
		_, err := l.CreateJob(t.Context(), j)
		wantKind(t, err, fail.Exists)
		if got := must(l.Job(t.Context(), j.ID)); got.Owner != "anna" {
			t.Errorf("the job is now %s's", got.Owner)
		}
	})
}

func TestIdsDifferByCaseAndAccent(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		var ids []string
		for _, id := range []string{"B", "a", "b", "á"} {
			j := newJob("Anna")
			j.ID = id
			must(l.CreateJob(t.Context(), j))
			ids = append([]string{id}, ids...)
		}
		var got []string
		for _, j := range must(l.Jobs(t.Context(), JobFilter{Owner: "Anna"}, "", 10)) {
			got = append(got, j.ID)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("listed %v, want %v", got, ids)
		}
		if other := must(l.Jobs(t.Context(), JobFilter{Owner: "anna"}, "", 10)); len(other) != 0 {
			t.Errorf("another owner has %v", other)
		}
		_, err := l.Job(t.Context(), "A")
		wantKind(t, err, fail.NotFound)
	})
}

func TestOptionsStayWithTheJob(t *testing.T) {
	long := strings.Repeat("🎬", 200)
	want := must(options.Parse(map[string]string{
		"format": "flac,mp3", "bitrate": "96k", "start": "1:00.5", "end": "90", "track": "ger", "normalize": "-16.5", "cover": "none",
		"title": long, "artist": long, "album": long, "genre": long, "comment": strings.Repeat("<", 1000),
	}))
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		j := newJob("anna")
		j.Options = want
		must(l.CreateJob(t.Context(), j))
		plain := create(t, l, "anna")
		same := func(when string, got job.Job) {
			t.Helper()
			if !reflect.DeepEqual(got.Options, want) {
				t.Errorf("%s: %+v", when, got.Options)
			}
		}
		same("created twice", must(l.CreateJob(t.Context(), j)))
		same("read", must(l.Job(t.Context(), j.ID)))
		list := must(l.Jobs(t.Context(), JobFilter{Owner: "anna"}, "", 10))
		same("listed", list[1])
		if list[0].ID != plain.ID || !reflect.DeepEqual(list[0].Options, options.Options{}) {
			t.Errorf("a job of which nothing was asked: %+v", list[0])
		}
		c.Advance(time.Hour)
		same("due", must(l.Due(t.Context(), 1))[0])
		same("claimed", must(l.Claim(t.Context(), j.ID, "h1", lease)))
		same("failed", must(l.Fail(t.Context(), j.ID, "h1", "no")))
		same("retried", must(l.Retry(t.Context(), j.ID)))
		same("claimed again", must(l.Claim(t.Context(), j.ID, "h2", lease)))
		rs := results()
		same("done", must(l.Complete(t.Context(), j.ID, "h2", rs)))
		of, _, err := l.Result(t.Context(), rs[0].FID)
		if err != nil {
			t.Fatal(err)
		}
		same("by its result", of)
		same("deleted", must(l.DeleteJob(t.Context(), j.ID)))
	})
}

func TestTheLongestNamesAreKept(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		j := newJob("anna")
		j.Name = job.CleanName(strings.Repeat("🎬", 2*job.MaxName) + ".mp4")
		must(l.CreateJob(t.Context(), j))
		must(l.Claim(t.Context(), j.ID, "h", lease))
		rs := results()
		rs[0].Name = job.ResultName(j.Name, "mp3")
		if got := must(l.Complete(t.Context(), j.ID, "h", rs)); got.Name != j.Name || got.Results[0].Name != rs[0].Name {
			t.Errorf("read %q and %q", got.Name, got.Results[0].Name)
		}
		must(l.Retry(t.Context(), failed(t, l, strings.Repeat("ü", 5000)).ID))
	})
}

// failed makes a job that failed for the reason, and checks that it is kept.
func failed(t *testing.T, l *Ledger, reason string) job.Job {
	t.Helper()
	j := create(t, l, "anna")
	must(l.Claim(t.Context(), j.ID, "h", lease))
	must(l.Fail(t.Context(), j.ID, "h", reason))
	if got := must(l.Job(t.Context(), j.ID)); got.Error != reason {
		t.Errorf("the reason is %q, want %q", got.Error, reason)
	}
	return j
}
