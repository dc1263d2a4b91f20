package ledger

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// TestAConnectionCutBeforeTheCommitIsNotNoticed cuts it at the statements of
// every change: at the first after it has taken effect, with the answer lost,
// at the others before.
func TestAConnectionCutBeforeTheCommitIsNotNoticed(t *testing.T) {
	p, address := throughProxy(t, databases["mysql"](t))
	l, _ := openAt(t, address)
	ctx := t.Context()
	var j job.Job
	claim := func() (err error) {
		if j, err = l.CreateJob(ctx, newJob("anna")); err != nil {
			return err
		}
		j, err = l.Claim(ctx, j.ID, "h", lease)
		if err == nil && j.Attempts != 1 {
			t.Errorf("%d attempts are counted", j.Attempts)
		}
		return err
	}
	complete := func() (err error) {
		if err := claim(); err != nil {
			return err
		}
		j, err = l.Complete(ctx, j.ID, "h", results())
		return err
	}
	for _, step := range []struct {
		name string
		at   []string
		do   func() error
	}{
		{"create", []string{"INSERT INTO jobs"}, func() error { _, err := l.CreateJob(ctx, newJob("anna")); return err }},
		{"claim", []string{"UPDATE jobs", "START TRANSACTION", "FROM jobs"}, claim},
		{"renew", []string{"progress = 42"}, func() error { return l.Renew(ctx, j.ID, "h", lease, 42) }},
		{"read", []string{"FROM jobs"}, func() error { _, err := l.Job(ctx, j.ID); return err }},
		{"complete", []string{"INSERT INTO results", "INSERT INTO notices"}, complete},
		{"claim the notice", []string{"UPDATE notices"}, func() error {
			ok, err := l.ClaimNotice(ctx, j.ID, 0, job.Done, "n", lease)
			if !ok {
				t.Error("the notice is not claimed")
			}
			return err
		}},
		{"close the notice", []string{"UPDATE notices", "UPDATE jobs"}, func() error {
			return l.CloseNotice(ctx, j.ID, 0, job.Done, "n", false)
		}},
		{"user", []string{"INSERT INTO users"}, func() error { _, err := l.CreateUser(ctx, user.User{Email: "anna"}); return err }},
		{"failed login", []string{"INSERT INTO login_failures"}, func() error { return l.RecordLoginFailure(ctx, "anna", "192.0.2.1") }},
		{"delete", []string{"DELETE FROM jobs"}, func() error { _, err := l.DeleteJob(ctx, j.ID); return err }},
	} {
		for i, text := range step.at {
			p.at(text, i == 0)
			if err := step.do(); err != nil {
				t.Fatalf("%s, cut at %q: %v", step.name, text, err)
			}
			if p.cuts.Load() != 1 {
				t.Fatalf("%s was not cut at %q", step.name, text)
			}
		}
	}
	if n, _, err := l.LoginFailures(ctx, "anna", "192.0.2.1", time.Time{}); n != 1 || err != nil {
		t.Errorf("%d failed logins counted, %v", n, err)
	}
}

func TestACommitWithoutAnAnswerIsTheCallersToRepeat(t *testing.T) {
	p, address := throughProxy(t, databases["mysql"](t))
	l, _ := openAt(t, address)
	ctx := t.Context()
	j, rs := create(t, l, "anna"), results()
	cut := func(name string, do func() error) {
		t.Helper()
		p.at("\x03COMMIT", true) // by itself, not within the level of isolation
		if err := do(); !fail.Is(err, fail.Unavailable) || p.cuts.Load() != 1 {
			t.Errorf("%s: %v, %d cuts", name, err, p.cuts.Load())
		}
	}
	twice := func(name string, do func() error) {
		t.Helper()
		cut(name, do)
		if err := do(); err != nil {
			t.Errorf("%s again: %v", name, err)
		}
	}
	twice("claim", func() error { _, err := l.Claim(ctx, j.ID, "h", lease); return err })
	if got := must(l.Job(ctx, j.ID)); got.Attempts != 1 {
		t.Errorf("%d attempts are counted", got.Attempts)
	}
	twice("complete", func() error { _, err := l.Complete(ctx, j.ID, "h", rs); return err })
	must(l.ClaimNotice(ctx, j.ID, 0, job.Done, "n", lease))
	twice("close the notice", func() error { return l.CloseNotice(ctx, j.ID, 0, job.Done, "n", false) })

	failed := create(t, l, "anna")
	must(l.GiveUp(ctx, failed.ID, failed.Run, "It is no video."))
	retry := func() error { _, err := l.Retry(ctx, failed.ID); return err }
	cut("retry", retry)
	wantKind(t, retry(), fail.Exists)
	if got := must(l.Job(ctx, failed.ID)); got.Run != 1 || got.State != job.Received {
		t.Errorf("run %d, %s", got.Run, got.State)
	}
	remove := func() error { _, err := l.DeleteJob(ctx, failed.ID); return err }
	cut("delete", remove)
	wantKind(t, remove(), fail.NotFound)
}

func TestDeadlocksAreTriedAgain(t *testing.T) {
	l, _ := openAt(t, databases["mysql"](t))
	ctx := t.Context()
	a, b := create(t, l, "anna"), create(t, l, "anna")
	var (
		all, met sync.WaitGroup
		errs     [2]error
		runs     [2]int
	)
	met.Add(2)
	for i, order := range [2][2]string{{a.ID, b.ID}, {b.ID, a.ID}} {
		all.Go(func() {
			errs[i] = l.db.tx(ctx, "meet", func(ctx context.Context, tx execer) error {
				runs[i]++
				if err := addByte(ctx, tx, order[0]); err != nil {
					return err
				}
				if runs[i] == 1 { // each has what the other wants next
					met.Done()
					met.Wait()
				}
				return addByte(ctx, tx, order[1])
			})
		})
	}
	all.Wait()
	if err := errors.Join(errs[:]...); err != nil || runs[0]+runs[1] < 3 {
		t.Errorf("runs %v: %v", runs, err)
	}
	for _, j := range []job.Job{a, b} {
		if got := must(l.Job(ctx, j.ID)).Bytes; got != j.Bytes+2 {
			t.Errorf("%d bytes were added, want 2 (runs: %v)", got-j.Bytes, runs)
		}
	}
}

func TestALockThatIsNotGrantedIsAskedForAgain(t *testing.T) {
	l, _ := openAt(t, databases["mysql"](t))
	ctx := t.Context()
	j := create(t, l, "anna")
	holder := must(l.db.pool.BeginTx(ctx, nil))
	defer func() { _ = holder.Rollback() }() // no effect after Commit
	if err := addByte(ctx, holder, j.ID); err != nil {
		t.Fatal(err)
	}
	runs := 0
	err := l.db.tx(ctx, "wait", func(ctx context.Context, tx execer) error {
		if runs++; runs == 2 {
			if err := holder.Commit(); err != nil {
				t.Error(err)
			}
		}
		return addByte(ctx, tx, j.ID)
	})
	if got := must(l.Job(ctx, j.ID)).Bytes; err != nil || runs != 2 || got != j.Bytes+2 {
		t.Errorf("%d runs, %d bytes were added: %v", runs, got-j.Bytes, err)
	}
}

func addByte(ctx context.Context, tx execer, id string) error {
	_, err := changed(ctx, tx, "UPDATE jobs SET bytes = bytes + 1 WHERE id = ?", id)
	return err
}

func TestAServerThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	s := servers.StartMySQL(t)
	s.Kill()
	l, _ := openAt(t, s.URL()) // it does not even look
	began := time.Now()
	wantKind(t, l.Ready(t.Context()), fail.Unavailable)
	_, err := l.CreateJob(t.Context(), newJob("anna"))
	wantKind(t, err, fail.Unavailable)
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error has the password: %v", err)
	}
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %v to find out", took)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "the ledger is ready", func() bool { return l.Ready(t.Context()) == nil })
	works(t, l)
}

func TestAServerThatIsKilledAtWorkComesBack(t *testing.T) {
	t.Parallel()
	s := servers.StartMySQL(t)
	l, _ := openAt(t, s.URL())
	works(t, l)
	type made struct {
		job job.Job
		err error
	}
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		jobs []made
		stop = make(chan struct{})
		once sync.Once
		seen = make(chan struct{}) // closed by the first error
	)
	for range 8 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				j := newJob("anna")
				_, err := l.CreateJob(t.Context(), j)
				mu.Lock()
				jobs = append(jobs, made{j, err})
				mu.Unlock()
				if err != nil {
					once.Do(func() { close(seen) })
				}
			}
		})
	}
	s.Kill()
	<-seen
	if err := s.Start(); err != nil {
		t.Error(err)
	}
	within(t, 10*time.Second, "the ledger is ready", func() bool { return l.Ready(t.Context()) == nil })
	close(stop)
	all.Wait()
	for _, m := range jobs {
		if m.err != nil {
			wantKind(t, m.err, fail.Unavailable)
			if _, err := l.CreateJob(t.Context(), m.job); err != nil {
				t.Errorf("once more: %v", err)
			}
		}
		if _, err := l.Job(t.Context(), m.job.ID); err != nil {
			t.Errorf("a job that was stored is gone: %v", err)
		}
	}
	if in := l.db.pool.Stats().InUse; in != 0 {
		t.Errorf("%d connections are not given back", in)
	}
}

func TestAServerThatHangsHoldsNobodyForLong(t *testing.T) {
	t.Parallel()
	s := servers.StartMySQL(t)
	l, _ := openAt(t, s.URL())
	works(t, l)
	j := create(t, l, "anna")
	s.Pause()
	defer s.Resume()
	began := time.Now()
	var (
		all  sync.WaitGroup
		errs [10]error // more than there are connections
	)
	for i := range errs {
		all.Go(func() { _, errs[i] = l.Claim(t.Context(), j.ID, "h", lease) })
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	wantKind(t, l.Ready(short), fail.Unavailable)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a caller with little time waited %v", took)
	}
	all.Wait()
	for _, err := range errs {
		wantKind(t, err, fail.Unavailable)
	}
	if took := time.Since(began); took > operationWithin+answerWithin+time.Second {
		t.Errorf("it took %v to give up", took)
	}
	s.Resume()
	within(t, 10*time.Second, "a claim works again", func() bool {
		_, err := l.Claim(t.Context(), j.ID, "h", lease)
		return err == nil
	})
}

// TestAServerThatOnlyAcceptsHoldsNobodyForLong: connected, it says nothing.
func TestAServerThatOnlyAcceptsHoldsNobodyForLong(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	l, _ := openAt(t, "mysql://anna:secret@"+silent.Addr().String()+"/db")
	began := time.Now()
	_, err = l.Job(t.Context(), "1")
	wantKind(t, err, fail.Unavailable)
	if took := time.Since(began); took > connectWithin+retryFor+time.Second {
		t.Errorf("it took %v", took)
	}
}
