package ledger

import (
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/clock"
)

func TestANoticeIsSentOnce(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		j := create(t, l, "anna")
		claim := func(holder string) (bool, error) {
			return l.ClaimNotice(t.Context(), j.ID, 0, job.Done, holder, lease)
		}
		if ok, err := claim("n0"); ok || err != nil {
			t.Fatalf("before the outcome: %v, %v", ok, err)
		}
		must(l.Claim(t.Context(), j.ID, "h", lease))
		must(l.Complete(t.Context(), j.ID, "h", results()))
		if ok, err := claim("n1"); !ok || err != nil {
			t.Fatalf("first claim: %v, %v", ok, err)
		}
		_, err := claim("n2")
		wantKind(t, err, fail.Unavailable)
		c.Advance(lease)
		if ok, err := claim("n3"); !ok || err != nil {
			t.Fatalf("after the lease: %v, %v", ok, err)
		}
		wantKind(t, l.CloseNotice(t.Context(), j.ID, 0, job.Done, "n1", false), fail.Exists)
		if err := l.ReleaseNotice(t.Context(), j.ID, 0, job.Done, "n3"); err != nil {
			t.Fatal(err)
		}
		if ok, err := claim("n4"); !ok || err != nil {
			t.Fatalf("after the release: %v, %v", ok, err)
		}
		if err := l.CloseNotice(t.Context(), j.ID, 0, job.Done, "n4", false); err != nil {
			t.Fatal(err)
		}
		if ok, err := claim("n5"); ok || err != nil {
			t.Fatalf("after it was sent: %v, %v", ok, err)
		}
		c.Advance(24 * time.Hour)
		if due := must(l.Due(t.Context(), 10)); len(due) != 0 {
			t.Errorf("due after its owner was told: %v", due)
		}
	})
}

func TestANoticeMayBeClaimedAndClosedAgainByItsHolder(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		ctx := t.Context()
		j := create(t, l, "anna")
		must(l.Claim(ctx, j.ID, "h", lease))
		must(l.Complete(ctx, j.ID, "h", results()))
		for range 2 {
			if ok, err := l.ClaimNotice(ctx, j.ID, 0, job.Done, "n1", lease); !ok || err != nil {
				t.Fatalf("claim: %v, %v", ok, err)
			}
		}
		for range 2 {
			if err := l.CloseNotice(ctx, j.ID, 0, job.Done, "n1", true); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.ReleaseNotice(ctx, j.ID, 0, job.Done, "n1"); err != nil {
			t.Fatal(err)
		}
		c.Advance(lease)
		for _, holder := range []string{"n1", "n2"} {
			if ok, err := l.ClaimNotice(ctx, j.ID, 0, job.Done, holder, lease); ok || err != nil {
				t.Errorf("%s claims a closed notice: %v, %v", holder, ok, err)
			}
		}
		wantKind(t, l.CloseNotice(ctx, j.ID, 0, job.Done, "n2", false), fail.Exists)
	})
}

func TestANoticeThatIsLostLeavesItsJobDue(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		ctx := t.Context()
		j := create(t, l, "anna")
		must(l.Claim(ctx, j.ID, "h", lease))
		must(l.Complete(ctx, j.ID, "h", results()))
		must(l.ClaimNotice(ctx, j.ID, 0, job.Done, "n1", lease))
		c.Advance(lease)
		must(l.ClaimNotice(ctx, j.ID, 0, job.Done, "n2", lease))
		wantKind(t, l.CloseNotice(ctx, j.ID, 0, job.Done, "n1", false), fail.Exists)
		c.Advance(24 * time.Hour)
		if due := must(l.Due(ctx, 10)); len(due) != 1 {
			t.Errorf("due after a loser closed its notice: %v", due)
		}
	})
}

// TestANoticeClosesWithItsJobOrNotAtAll makes either of the two changes fail.
func TestANoticeClosesWithItsJobOrNotAtAll(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		ctx := t.Context()
		j := create(t, l, "anna")
		must(l.Claim(ctx, j.ID, "h", lease))
		must(l.Complete(ctx, j.ID, "h", results()))
		must(l.ClaimNotice(ctx, j.ID, 0, job.Done, "n", lease))
		for table, column := range map[string]string{"jobs": "due_at", "notices": "closed_at"} {
			run(t, l, "ALTER TABLE "+table+" RENAME COLUMN "+column+" TO hidden")
			wantKind(t, l.CloseNotice(ctx, j.ID, 0, job.Done, "n", false), fail.Unavailable)
			run(t, l, "ALTER TABLE "+table+" RENAME COLUMN hidden TO "+column)
		}
		c.Advance(24 * time.Hour)
		if due := must(l.Due(ctx, 10)); len(due) != 1 {
			t.Errorf("the job is closed without its notice: due %v", due)
		}
		if ok := must(l.ClaimNotice(ctx, j.ID, 0, job.Done, "n", lease)); !ok {
			t.Error("the notice is closed without its job")
		}
	})
}

// run runs a statement as it is.
func run(t *testing.T, l *Ledger, statement string) {
	t.Helper()
	if _, err := l.db.pool.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
