package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/clock"
)

func TestAJobRunsThroughItsStates(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		j := create(t, l, "anna")
		if err := l.Queued(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		claimed := must(l.Claim(t.Context(), j.ID, "h1", lease))
		if claimed.State != job.Converting || claimed.Attempts != 1 {
			t.Fatalf("claimed %+v", claimed)
		}
		if err := l.Queued(t.Context(), j.ID); err != nil { // upload comes late with its note
			t.Fatal(err)
		}
		if err := l.Renew(t.Context(), j.ID, "h1", lease, 55); err != nil {
			t.Fatal(err)
		}
		if got := must(l.Job(t.Context(), j.ID)); got.State != job.Converting || got.Progress != 55 {
			t.Fatalf("after a heartbeat: %+v", got)
		}
		c.Advance(time.Second)
		rs := results()
		done := must(l.Complete(t.Context(), j.ID, "h1", rs))
		if done.State != job.Done || done.Progress != 100 || !done.EndedAt.Equal(c.Now()) || !slices.Equal(done.Results, rs) {
			t.Fatalf("done %+v", done)
		}
		if again := must(l.Claim(t.Context(), j.ID, "h2", lease)); again.State != job.Done || !slices.Equal(again.Results, rs) {
			t.Fatalf("claim of a done job: %+v", again)
		}
		owner, r, err := l.Result(t.Context(), rs[0].FID)
		if err != nil || owner.ID != j.ID || r != rs[0] {
			t.Fatalf("Result = %v, %+v, %v", owner.ID, r, err)
		}
		_, _, err = l.Result(t.Context(), j.Source)
		wantKind(t, err, fail.NotFound)
	})
}

func TestOnlyOneOfManyClaimsWins(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		j := create(t, l, "anna")
		var (
			wg   sync.WaitGroup
			errs = make([]error, 50)
		)
		for i := range errs {
			wg.Go(func() { _, errs[i] = l.Claim(t.Context(), j.ID, fmt.Sprint("h", i), lease) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			wantKind(t, err, fail.Unavailable)
			if after := fail.RetryAfter(err); after != lease {
				t.Errorf("retry after %v, want %v", after, lease)
			}
		}
		if won != 1 {
			t.Errorf("%d claims won, want 1", won)
		}
	})
}

func TestALostClaimChangesNothing(t *testing.T) {
	type op func(*Ledger, context.Context, string) error
	ops := map[string]op{
		"renew":   func(l *Ledger, ctx context.Context, id string) error { return l.Renew(ctx, id, "h1", lease, 1) },
		"release": func(l *Ledger, ctx context.Context, id string) error { return l.Release(ctx, id, "h1") },
		"complete": func(l *Ledger, ctx context.Context, id string) error {
			_, err := l.Complete(ctx, id, "h1", results())
			return err
		},
		"fail": func(l *Ledger, ctx context.Context, id string) error {
			_, err := l.Fail(ctx, id, "h1", "x")
			return err
		},
	}
	for name, try := range ops {
		t.Run(name+" after another claim", func(t *testing.T) {
			each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
				j := create(t, l, "anna")
				must(l.Claim(t.Context(), j.ID, "h1", lease))
				c.Advance(lease)
				must(l.Claim(t.Context(), j.ID, "h2", lease))
				wantKind(t, try(l, t.Context(), j.ID), fail.Exists)
				if err := l.Renew(t.Context(), j.ID, "h2", lease, 1); err != nil {
					t.Errorf("the new holder: %v", err)
				}
			})
		})
		t.Run(name+" after deletion", func(t *testing.T) {
			each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
				j := create(t, l, "anna")
				must(l.Claim(t.Context(), j.ID, "h1", lease))
				must(l.DeleteJob(t.Context(), j.ID))
				wantKind(t, try(l, t.Context(), j.ID), fail.Exists)
			})
		})
	}
}

func TestAReleasedJobIsClaimedAtOnce(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		j := create(t, l, "anna")
		must(l.Claim(t.Context(), j.ID, "h1", lease))
		if err := l.Release(t.Context(), j.ID, "h1"); err != nil {
			t.Fatal(err)
		}
		if got := must(l.Claim(t.Context(), j.ID, "h2", lease)); got.Attempts != 2 {
			t.Errorf("attempts %d, want 2", got.Attempts)
		}
	})
}

func TestGiveUpFailsWhateverHasNotEnded(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		j := create(t, l, "anna")
		must(l.Claim(t.Context(), j.ID, "h1", lease))
		if got := must(l.GiveUp(t.Context(), j.ID, 0, "too often")); got.State != job.Failed || got.Error != "too often" {
			t.Fatalf("given up %+v", got)
		}
		_, err := l.GiveUp(t.Context(), j.ID, 0, "again")
		wantKind(t, err, fail.Exists)
		must(l.Retry(t.Context(), j.ID))
		_, err = l.GiveUp(t.Context(), j.ID, 0, "a dead letter of the first run")
		wantKind(t, err, fail.Exists)
	})
}

func TestAHolderThatClaimsAgainCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		j := create(t, l, "anna")
		must(l.Claim(t.Context(), j.ID, "h1", lease))
		c.Advance(lease / 2)
		if got := must(l.Claim(t.Context(), j.ID, "h1", lease)); got.State != job.Converting || got.Attempts != 1 {
			t.Errorf("claimed again: %+v", got)
		}
		c.Advance(lease / 2) // the first lease is over, the second is not
		_, err := l.Claim(t.Context(), j.ID, "h2", lease)
		wantKind(t, err, fail.Unavailable)
		c.Advance(lease)
		if got := must(l.Claim(t.Context(), j.ID, "h2", lease)); got.Attempts != 2 {
			t.Errorf("attempts %d, want 2", got.Attempts)
		}
		_, err = l.Claim(t.Context(), j.ID, "h1", lease)
		wantKind(t, err, fail.Unavailable)
	})
}

func TestCompletingTwiceIsCompletingOnce(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		j, rs := create(t, l, "anna"), results()
		must(l.Claim(t.Context(), j.ID, "h1", lease))
		first := must(l.Complete(t.Context(), j.ID, "h1", rs))
		again, err := l.Complete(t.Context(), j.ID, "h1", rs)
		if err != nil || again.State != job.Done || !slices.Equal(again.Results, first.Results) {
			t.Errorf("the second time: %+v, %v", again, err)
		}
		_, err = l.Complete(t.Context(), j.ID, "h1", results())
		wantKind(t, err, fail.Exists)
		other := create(t, l, "anna")
		_, err = l.Complete(t.Context(), other.ID, "h1", rs)
		wantKind(t, err, fail.Exists)
	})
}
