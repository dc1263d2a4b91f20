package ledger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

const lease = 30 * time.Second

// clock is a time that tests move by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// open gives each test an empty ledger of its own, with a clock.
func open(t *testing.T) (*Ledger, *clock) {
	t.Helper()
	l, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "a ledger?#%.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)}
	l.Now = c.now
	return l, c
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func create(t *testing.T, l *Ledger, owner string) job.Job {
	t.Helper()
	j, err := l.CreateJob(t.Context(), job.Job{
		ID: job.NewID(), Owner: owner, Name: "Füße 🎬.mp4", Source: blob.NewID(), Bytes: 42, Trace: "00-trace",
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func results() []job.Result {
	return []job.Result{{FID: blob.NewID(), Name: "Füße 🎬.mp3", Format: "mp3", Bytes: 7, Duration: 1234 * time.Millisecond}}
}

func wantKind(t *testing.T, err error, kind fail.Kind) {
	t.Helper()
	if !fail.Is(err, kind) {
		t.Fatalf("error %v, want kind %v", err, kind)
	}
}

func TestAJobIsReadAsItWasWritten(t *testing.T) {
	l, c := open(t)
	made := create(t, l, "anna")
	got := must(l.Job(t.Context(), made.ID))
	if got.State != job.Received || !got.CreatedAt.Equal(c.now()) || got.Name != "Füße 🎬.mp4" ||
		got.Owner != "anna" || got.Bytes != 42 || got.Source != made.Source || got.Trace != "00-trace" || !got.EndedAt.IsZero() {
		t.Errorf("read %+v", got)
	}
	_, err := l.Job(t.Context(), job.NewID())
	wantKind(t, err, fail.NotFound)
}

func TestAJobRunsThroughItsStates(t *testing.T) {
	l, c := open(t)
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
	c.advance(time.Second)
	rs := results()
	done := must(l.Complete(t.Context(), j.ID, "h1", rs))
	if done.State != job.Done || done.Progress != 100 || !done.EndedAt.Equal(c.now()) || !slices.Equal(done.Results, rs) {
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
}

func TestOnlyOneOfManyClaimsWins(t *testing.T) {
	l, _ := open(t)
	j := create(t, l, "anna")
	var (
		wg   sync.WaitGroup
		errs = make([]error, 20)
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
			l, c := open(t)
			j := create(t, l, "anna")
			must(l.Claim(t.Context(), j.ID, "h1", lease))
			c.advance(lease)
			must(l.Claim(t.Context(), j.ID, "h2", lease))
			wantKind(t, try(l, t.Context(), j.ID), fail.Exists)
			if err := l.Renew(t.Context(), j.ID, "h2", lease, 1); err != nil {
				t.Errorf("the new holder: %v", err)
			}
		})
		t.Run(name+" after deletion", func(t *testing.T) {
			l, _ := open(t)
			j := create(t, l, "anna")
			must(l.Claim(t.Context(), j.ID, "h1", lease))
			must(l.DeleteJob(t.Context(), j.ID))
			wantKind(t, try(l, t.Context(), j.ID), fail.Exists)
		})
	}
}

func TestAReleasedJobIsClaimedAtOnce(t *testing.T) {
	l, _ := open(t)
	j := create(t, l, "anna")
	must(l.Claim(t.Context(), j.ID, "h1", lease))
	if err := l.Release(t.Context(), j.ID, "h1"); err != nil {
		t.Fatal(err)
	}
	if got := must(l.Claim(t.Context(), j.ID, "h2", lease)); got.Attempts != 2 {
		t.Errorf("attempts %d, want 2", got.Attempts)
	}
}

func TestRetryBeginsANewRunOfAFailedJobOnly(t *testing.T) {
	l, _ := open(t)
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
}

func TestGiveUpFailsWhateverHasNotEnded(t *testing.T) {
	l, _ := open(t)
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
}

func TestListsAreTheOwnersNewestFirstInPages(t *testing.T) {
	l, _ := open(t)
	var want []string
	for range 5 {
		want = append([]string{create(t, l, "anna").ID}, want...)
		create(t, l, "ben")
	}
	var got []string
	before := ""
	for {
		page := must(l.Jobs(t.Context(), "anna", before, 2))
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
}

func TestANoticeIsSentOnce(t *testing.T) {
	l, c := open(t)
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
	c.advance(lease)
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
	c.advance(24 * time.Hour)
	if due := must(l.Due(t.Context(), 10)); len(due) != 0 {
		t.Errorf("due after its owner was told: %v", due)
	}
}

func TestWhatRestsTooLongIsDue(t *testing.T) {
	l, c := open(t)
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
	c.advance(lease + leaseGrace)
	if got := due(); !slices.Equal(got, []string{held.ID}) {
		t.Fatalf("after the lease: %v", got)
	}
	if err := l.Postpone(ctx, held.ID); err != nil {
		t.Fatal(err)
	}
	if got := must(l.Job(ctx, held.ID)); got.State != job.Queued {
		t.Fatalf("after postponing: %+v", got)
	}
	c.advance(publishWithin)
	if got := due(); !slices.Equal(got, []string{fresh.ID}) {
		t.Fatalf("after a minute: %v", got)
	}
	c.advance(restWithin)
	if got := due(); len(got) != 4 {
		t.Fatalf("after a quarter of an hour: %v", got)
	}
	if err := l.CloseJob(ctx, ended.ID); err != nil {
		t.Fatal(err)
	}
	if got := due(); slices.Contains(got, ended.ID) {
		t.Error("a closed job is still due")
	}
}

func TestRecoverFreesLeasesAndMakesUnpublishedJobsDue(t *testing.T) {
	l, _ := open(t)
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

func TestDeleteRemovesEverything(t *testing.T) {
	l, _ := open(t)
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
}

func TestUnreferencedAndExpired(t *testing.T) {
	l, c := open(t)
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
	c.advance(time.Hour)
	young := create(t, l, "anna")
	if got := must(l.Expired(t.Context(), young.CreatedAt, 10)); !slices.Equal(got, []string{j.ID}) {
		t.Errorf("expired: %v", got)
	}
}

func TestUsers(t *testing.T) {
	l, c := open(t)
	if has := must(l.HasAdmin(t.Context())); has {
		t.Error("an empty ledger has an administrator")
	}
	made := must(l.CreateUser(t.Context(), user.User{Email: "anna@example.com", PasswordHash: "x", Admin: true}))
	for name, got := range map[string]user.User{
		"by email": must(l.UserByEmail(t.Context(), "anna@example.com")),
		"by id":    must(l.UserByID(t.Context(), made.ID)),
	} {
		if got != made || !got.CreatedAt.Equal(c.now()) {
			t.Errorf("%s: %+v, want %+v", name, got, made)
		}
	}
	if has := must(l.HasAdmin(t.Context())); !has {
		t.Error("no administrator found")
	}
	_, err := l.CreateUser(t.Context(), user.User{Email: "anna@example.com"})
	wantKind(t, err, fail.Exists)
	_, err = l.UserByEmail(t.Context(), "ben@example.com")
	wantKind(t, err, fail.NotFound)
}

func TestLoginFailuresCountByAccountAndAddress(t *testing.T) {
	l, c := open(t)
	ctx, start := t.Context(), c.now()
	for range 3 {
		c.advance(time.Minute)
		if err := l.RecordLoginFailure(ctx, "anna", "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.RecordLoginFailure(ctx, "anna", "192.0.2.2")
	n, oldest, err := l.LoginFailures(ctx, "anna", "192.0.2.1", start.Add(90*time.Second))
	if n != 2 || !oldest.Equal(start.Add(2*time.Minute)) || err != nil {
		t.Errorf("LoginFailures = %d, %v, %v", n, oldest, err)
	}
	if err := l.PruneLoginFailures(ctx, start.Add(150*time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := l.LoginFailures(ctx, "anna", "192.0.2.1", start); n != 1 {
		t.Errorf("after pruning: %d, want 1", n)
	}
	if err := l.ClearLoginFailures(ctx, "anna", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if n, oldest, _ := l.LoginFailures(ctx, "anna", "192.0.2.1", start); n != 0 || !oldest.IsZero() {
		t.Errorf("after clearing: %d, %v", n, oldest)
	}
}

func TestOpenTwiceKeepsWhatIsThere(t *testing.T) {
	path := "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	first := must(Open(t.Context(), path))
	j := create(t, first, "anna")
	second := must(Open(t.Context(), path))
	if _, err := second.Job(t.Context(), j.ID); err != nil {
		t.Error(err)
	}
	if err := errors.Join(second.Ready(t.Context()), first.Close(), second.Close()); err != nil {
		t.Error(err)
	}
	wantKind(t, second.Ready(t.Context()), fail.Unavailable)
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, address := range []string{"", "postgres://x", "sqlite:", "/a/file"} {
		_, err := Open(t.Context(), address)
		wantKind(t, err, fail.Invalid)
	}
	_, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "no", "such", "folder", "x.db"))
	wantKind(t, err, fail.Unavailable)
}

func TestChangedTellsOfEveryChange(t *testing.T) {
	l, c := open(t)
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
		{"postponed", func() error { c.advance(time.Hour); return l.Postpone(ctx, j.ID) }},
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
}
