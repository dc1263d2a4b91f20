package ledger

import (
	"slices"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/clock"
)

func TestWhatRestsIsCounted(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		ctx := t.Context()
		if got := must(l.Resting(ctx)); len(got) != 0 {
			t.Fatalf("nothing rests: %v", got)
		}
		first := create(t, l, "anna")
		c.Advance(time.Minute)
		create(t, l, "anna")
		told := create(t, l, "anna")
		must(l.Claim(ctx, told.ID, "h", lease))
		must(l.Complete(ctx, told.ID, "h", results()))
		got := map[job.State]Rest{}
		for _, r := range must(l.Resting(ctx)) {
			got[r.State] = r
		}
		if r := got[job.Received]; r.Jobs != 2 || !r.Changed.Equal(first.UpdatedAt) || len(got) != 2 || got[job.Done].Jobs != 1 {
			t.Errorf("resting: %+v", got)
		}
		if err := l.CloseJob(ctx, told.ID); err != nil {
			t.Fatal(err)
		}
		if got := must(l.Resting(ctx)); len(got) != 1 {
			t.Errorf("after its owner was told: %v", got)
		}
	})
}

func TestWhatRestsTooLongIsDue(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		ctx := t.Context()
		fresh := create(t, l, "anna")
		queued := create(t, l, "anna")
		held := create(t, l, "anna")
		ended := create(t, l, "anna")
		_ = l.Queued(ctx, queued.ID)
		must(l.Claim(ctx, held.ID, "h", lease))
		must(l.Claim(ctx, ended.ID, "e", lease))
		must(l.Complete(ctx, ended.ID, "e", results()))
		due := func() []string {
			var ids []string
			for _, j := range must(l.Due(ctx, 10)) {
				ids = append(ids, j.ID)
			}
			slices.Sort(ids)
			return ids
		}
		if got := due(); len(got) != 0 {
			t.Fatalf("due at once: %v", got)
		}
		c.Advance(lease + leaseGrace)
		if got := due(); !slices.Equal(got, []string{held.ID}) {
			t.Fatalf("after the lease: %v", got)
		}
		if err := l.Postpone(ctx, held.ID); err != nil {
			t.Fatal(err)
		}
		if got := must(l.Job(ctx, held.ID)); got.State != job.Queued {
			t.Fatalf("after postponing: %+v", got)
		}
		c.Advance(publishWithin)
		if got := due(); !slices.Equal(got, []string{fresh.ID}) {
			t.Fatalf("after a minute: %v", got)
		}
		c.Advance(restWithin)
		if got := due(); len(got) != 4 {
			t.Fatalf("after a quarter of an hour: %v", got)
		}
		if err := l.CloseJob(ctx, ended.ID); err != nil {
			t.Fatal(err)
		}
		if got := due(); slices.Contains(got, ended.ID) {
			t.Error("a closed job is still due")
		}
	})
}

func TestRecoverFreesLeasesAndMakesUnpublishedJobsDue(t *testing.T) {
	l, _ := openAt(t, databases["sqlite"](t))
	j, unpublished := create(t, l, "anna"), create(t, l, "anna")
	must(l.Claim(t.Context(), j.ID, "dead", lease))
	if err := l.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if due := must(l.Due(t.Context(), 10)); len(due) != 1 || due[0].ID != unpublished.ID {
		t.Errorf("due: %+v", due)
	}
	if got, err := l.Claim(t.Context(), j.ID, "alive", lease); err != nil || got.Attempts != 2 {
		t.Errorf("claim after recovery: %+v, %v", got, err)
	}
}

func TestRecoverLeavesWhatOthersMayHold(t *testing.T) {
	l, _ := openAt(t, databases["mysql"](t))
	j := create(t, l, "anna")
	create(t, l, "anna")
	must(l.Claim(t.Context(), j.ID, "another process", lease))
	if err := l.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Renew(t.Context(), j.ID, "another process", lease, 1); err != nil {
		t.Errorf("its holder: %v", err)
	}
	if due := must(l.Due(t.Context(), 10)); len(due) != 0 {
		t.Errorf("due: %+v", due)
	}
}

func TestUnreferencedAndExpired(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		j := create(t, l, "anna")
		must(l.Claim(t.Context(), j.ID, "h", lease))
		rs := results()
		must(l.Complete(t.Context(), j.ID, "h", rs))
		orphan := blob.NewID()
		if got := must(l.Unreferenced(t.Context(), []string{j.Source, orphan, rs[0].FID})); !slices.Equal(got, []string{orphan}) {
			t.Errorf("unreferenced: %v", got)
		}
		if got := must(l.Unreferenced(t.Context(), nil)); got != nil {
			t.Errorf("unreferenced of none: %v", got)
		}
		c.Advance(time.Hour)
		young := create(t, l, "anna")
		if got := must(l.Expired(t.Context(), young.CreatedAt, 10)); !slices.Equal(got, []string{j.ID}) {
			t.Errorf("expired: %v", got)
		}
	})
}
