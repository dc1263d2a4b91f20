package notify

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/maildir"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/mailtest"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

// world is the function over real stores and a maildir, with one account.
type world struct {
	*fixture.Stores
	deps  Deps
	owner string
	box   string
	fault atomic.Pointer[error] // what the next sendings fail with
	calls atomic.Int32          // sendings that were tried
}

// Send is a mail.Sender: the maildir, unless there is a fault.
func (w *world) Send(ctx context.Context, m mail.Message) error {
	w.calls.Add(1)
	if err := w.fault.Load(); err != nil {
		return *err
	}
	s, err := maildir.New(w.box, mailtest.From)
	if err != nil {
		return err
	}
	return s.Send(ctx, m)
}

func start(t *testing.T) *world {
	t.Helper()
	return startOn(t, fixture.New(t))
}

func startOn(t *testing.T, stores *fixture.Stores) *world {
	t.Helper()
	w := &world{Stores: stores, box: t.TempDir()}
	u, err := w.Ledger.CreateUser(t.Context(), user.User{Email: "anna@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	w.owner = u.ID
	w.deps = Deps{Ledger: w.Ledger, Mail: w, Links: w.Links, PublicURL: "https://alchemist.example/app/"}
	return w
}

// done makes a done job of a video with that name.
func (w *world) done(t *testing.T, name string) job.Job {
	t.Helper()
	j, err := w.Ledger.CreateJob(t.Context(), job.Job{ID: job.NewID(), Owner: w.owner, Name: name, Source: blob.NewID()})
	if err == nil {
		_, err = w.Ledger.Claim(t.Context(), j.ID, "holder", time.Minute)
	}
	if err == nil {
		j, err = w.Ledger.Complete(t.Context(), j.ID, "holder", []job.Result{{
			FID: blob.NewID(), Name: job.ResultName(name, "mp3"), Format: "mp3", Bytes: 14_400_000, Duration: 10*time.Minute + 3*time.Second,
		}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// outcome is the event that convert replies with for the job.
func outcome(t *testing.T, j job.Job) cloudevents.Event {
	t.Helper()
	e, ok := ledger.OutcomeEvent(j)
	if !ok {
		t.Fatalf("job in state %s has no outcome", j.State)
	}
	return e
}

func (w *world) deliver(t *testing.T, e cloudevents.Event, want int) {
	t.Helper()
	status, reply := fixture.Deliver(t.Context(), t, New(w.deps), e)
	if status != want || reply != nil {
		t.Fatalf("status %d, reply %v; want %d and none", status, reply, want)
	}
}

// mails returns what is in the maildir.
func (w *world) mails(t *testing.T) (all []mailtest.Mail) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(w.box, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, mailtest.Parse(t, raw))
	}
	return all
}

func (w *world) wantMails(t *testing.T, n int) {
	t.Helper()
	if got := len(w.mails(t)); got != n {
		t.Fatalf("%d mails, want %d", got, n)
	}
}

func TestTenDeliveriesAtOnceMakeOneMail(t *testing.T) {
	w := start(t)
	e := outcome(t, w.done(t, "talk.mp4"))
	var wg sync.WaitGroup
	var told atomic.Int32
	for range 10 {
		wg.Go(func() {
			switch status, _ := fixture.Deliver(t.Context(), t, New(w.deps), e); status {
			case http.StatusNoContent:
				told.Add(1)
			case http.StatusServiceUnavailable: // another is at it: the broker comes again
			default:
				t.Errorf("status %d", status)
			}
		})
	}
	wg.Wait()
	if told.Load() == 0 || w.calls.Load() != 1 {
		t.Errorf("%d deliveries succeeded, %d sendings; want some and 1", told.Load(), w.calls.Load())
	}
	w.deliver(t, e, http.StatusNoContent)
	w.wantMails(t, 1)
}

func TestAFaultThatPasses(t *testing.T) {
	for name, err := range map[string]error{
		"server away":      fail.New(fail.Unavailable, "The server answered 421."),
		"no kind":          context.DeadlineExceeded,
		"defect elsewhere": fail.New(fail.Internal, "x"),
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			e := outcome(t, w.done(t, "talk.mp4"))
			w.fault.Store(&err)
			for range 3 { // the claim is given back each time
				if status, _ := fixture.Deliver(t.Context(), t, New(w.deps), e); status < 500 {
					t.Fatalf("status %d: the broker would not come again", status)
				}
			}
			if w.calls.Load() != 3 {
				t.Fatalf("%d sendings, want 3", w.calls.Load())
			}
			w.fault.Store(nil)
			w.deliver(t, e, http.StatusNoContent)
			w.wantMails(t, 1)
		})
	}
}

func TestARefusedMailIsNotTriedAgain(t *testing.T) {
	w := start(t)
	e := outcome(t, w.done(t, "talk.mp4"))
	err := fail.New(fail.Invalid, "No such mailbox.")
	w.fault.Store(&err)
	w.deliver(t, e, http.StatusNoContent)
	w.fault.Store(nil)
	w.deliver(t, e, http.StatusNoContent)
	if w.calls.Load() != 1 {
		t.Errorf("%d sendings, want 1", w.calls.Load())
	}
	if due, err := w.Ledger.Due(t.Context(), 10); err != nil || len(due) != 0 {
		t.Errorf("reconcile would look after %v, %v", due, err)
	}
}

func TestAMailThatWasSentBeforeACrashIsNotSentTwice(t *testing.T) {
	w := start(t)
	j := w.done(t, "talk.mp4")
	// Claimed and sent by a process that died before it could say so.
	if ok, err := w.Ledger.ClaimNotice(t.Context(), j.ID, j.Run, j.State, "dead", time.Minute); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := w.deps.tell(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	w.deliver(t, outcome(t, j), http.StatusServiceUnavailable)
	if err := w.Ledger.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.deliver(t, outcome(t, j), http.StatusNoContent)
	w.wantMails(t, 1)
}

func TestWhoeverHangsUpDoesNotUndoASentMail(t *testing.T) {
	w := start(t)
	e := outcome(t, w.done(t, "talk.mp4"))
	ctx, hangUp := context.WithCancel(t.Context())
	w.deps.Mail = senderFunc(func(ctx context.Context, m mail.Message) error {
		err := w.Send(ctx, m)
		hangUp()
		return err
	})
	if _, err := w.deps.handle(ctx, e); err != nil {
		t.Fatal(err)
	}
	w.deliver(t, e, http.StatusNoContent)
	if w.calls.Load() != 1 {
		t.Errorf("%d sendings, want 1", w.calls.Load())
	}
}

type senderFunc func(context.Context, mail.Message) error

func (f senderFunc) Send(ctx context.Context, m mail.Message) error { return f(ctx, m) }

func TestEachRunHasItsOwnMail(t *testing.T) {
	w := start(t)
	j := w.Failed(t, w.owner, "The file has no sound.")
	w.deliver(t, outcome(t, j), http.StatusNoContent)
	stale := outcome(t, j)
	if _, err := w.Ledger.Retry(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	w.deliver(t, stale, http.StatusNoContent) // the run has no outcome yet
	w.wantMails(t, 1)
	if _, err := w.Ledger.Claim(t.Context(), j.ID, "again", time.Minute); err != nil {
		t.Fatal(err)
	}
	j, err := w.Ledger.Fail(t.Context(), j.ID, "again", "Still no sound.")
	if err != nil {
		t.Fatal(err)
	}
	w.deliver(t, outcome(t, j), http.StatusNoContent)
	w.deliver(t, stale, http.StatusNoContent)
	w.wantMails(t, 2)
}

func TestTheLedgerDecidesNotTheEvent(t *testing.T) {
	w := start(t)
	j := w.done(t, "talk.mp4")
	w.deliver(t, event.ConversionFailed(event.Ref{Job: j.ID, At: time.Now()}, "Send money to x."), http.StatusNoContent)
	mails := w.mails(t)
	if len(mails) != 1 || mails[0].Subject != "Ready: talk.mp4" {
		t.Fatalf("mails: %+v", mails)
	}
	w.deliver(t, outcome(t, j), http.StatusNoContent)
	w.wantMails(t, 1)
}

func TestWhatNeedsNoMail(t *testing.T) {
	w := start(t)
	gone := w.done(t, "talk.mp4")
	if _, err := w.Ledger.DeleteJob(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	unfinished := w.Job(t, w.owner)
	orphan := w.Done(t, "nobody", "audio")
	for name, e := range map[string]cloudevents.Event{
		"the job is deleted":       outcome(t, gone),
		"the job was never there":  event.ConversionCompleted(event.Ref{Job: job.NewID(), At: time.Now()}, nil),
		"the job has not ended":    event.ConversionCompleted(event.Ref{Job: unfinished.ID, At: time.Now()}, nil),
		"the owner's account gone": outcome(t, orphan),
	} {
		t.Run(name, func(t *testing.T) { w.deliver(t, e, http.StatusNoContent) })
	}
	w.wantMails(t, 0)
}

func TestEventsThatAreNotTaken(t *testing.T) {
	w := start(t)
	w.deliver(t, event.VideoUploaded(event.Ref{Job: job.NewID(), At: time.Now()}, blob.NewID()), http.StatusBadRequest)
	e := outcome(t, w.done(t, "talk.mp4"))
	e.DataEncoded = []byte(`{}`)
	w.deliver(t, e, http.StatusBadRequest)
	w.wantMails(t, 0)
}

func TestALedgerThatIsAwayIsRetried(t *testing.T) {
	w := start(t)
	e := outcome(t, w.done(t, "talk.mp4"))
	if err := w.Ledger.Close(); err != nil {
		t.Fatal(err)
	}
	w.deliver(t, e, http.StatusServiceUnavailable)
}
