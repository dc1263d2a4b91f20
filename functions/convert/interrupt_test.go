package convert

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func readPID(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return n
}

// gone reports whether a process has ended, reaped or not.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(b), ") Z ")
}

// deliverUntil delivers, and runs do once ffmpeg is at work.
func deliverUntil(ctx context.Context, t *testing.T, w *world, j job.Job, do func(pid int)) (*cloudevents.Event, error) {
	t.Helper()
	pid := w.hang(t)
	type answer struct {
		reply *cloudevents.Event
		err   error
	}
	ended := make(chan answer, 1)
	deps := w.deps
	go func() {
		reply, err := handler(deps)(ctx, ledger.UploadedEvent(j))
		ended <- answer{reply, err}
	}()
	n := pid()
	do(n)
	select {
	case a := <-ended:
		within(t, 5*time.Second, func() bool { return gone(n) })
		return a.reply, a.err
	case <-time.After(20 * time.Second):
		t.Fatal("the attempt goes on")
		return nil, nil
	}
}

func handler(d Deps) func(context.Context, cloudevents.Event) (*cloudevents.Event, error) {
	return withDefaults(d).handle
}

func TestACancelledDeliveryLeavesNothingAndTheJobClaimable(t *testing.T) {
	w := start(t)
	tools := w.deps.Media
	j := w.job(t, talk(t))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := deliverUntil(ctx, t, w, j, func(int) { cancel() })
	fixture.WantKind(t, err, fail.Unavailable)
	w.clean(t, 0)
	if got := w.read(t, j.ID); got.State != job.Queued {
		t.Errorf("job %+v", got)
	}
	w.deps.Media = tools
	status, _ := w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusOK)
	w.clean(t, 1)
}

func TestADeletedJobStopsItsConversion(t *testing.T) {
	w := start(t)
	j := w.job(t, talk(t))
	reply, err := deliverUntil(t.Context(), t, w, j, func(int) {
		if _, err := w.Ledger.DeleteJob(t.Context(), j.ID); err != nil {
			t.Error(err)
		}
	})
	if reply != nil || err != nil {
		t.Errorf("reply %v, error %v; want neither", reply, err)
	}
	w.clean(t, 0)
	if status, reply := w.deliver(t.Context(), t, j); status != http.StatusNoContent || reply != nil {
		t.Errorf("delivered after its end: %d %v", status, reply)
	}
}

func TestAJobDeletedAtTheLastMomentLeavesNoAudio(t *testing.T) {
	w := start(t)
	j := w.job(t, talk(t))
	w.blobs.beforePut = func() {
		if _, err := w.Ledger.DeleteJob(t.Context(), j.ID); err != nil {
			t.Error(err)
		}
	}
	status, reply := w.deliver(t.Context(), t, j)
	if status != http.StatusNoContent || reply != nil {
		t.Errorf("status %d, reply %v", status, reply)
	}
	w.clean(t, 0)
}

// TestTheHeartbeatKeepsTheClaim: another is refused when the lease that the
// attempt began with, and one more, are long over. It asks only right after a
// renewal, and one of them may be late: a claim is lost by right where the
// machine stands still for as long as the lease.
func TestTheHeartbeatKeepsTheClaim(t *testing.T) {
	w := start(t)
	w.deps.Lease = 3 * time.Second // a third of it must do for one renewal
	j := w.job(t, talk(t))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := deliverUntil(ctx, t, w, j, func(int) {
		defer cancel()
		first := w.read(t, j.ID).UpdatedAt
		last, late := first, 0
		within(t, 15*time.Second, func() bool {
			now := w.read(t, j.ID).UpdatedAt
			if !now.After(last) {
				return false
			}
			if _, err := w.Ledger.Claim(t.Context(), j.ID, "another", time.Minute); !fail.Is(err, fail.Unavailable) {
				t.Errorf("claimed by another: %v", err)
			}
			if now.Sub(last) > w.deps.Lease*2/3 {
				late++
			}
			last = now
			return now.Sub(first) > 2*w.deps.Lease
		})
		if late > 1 {
			t.Errorf("%d renewals came after more than two thirds of the lease", late)
		}
	})
	fixture.WantKind(t, err, fail.Unavailable)
}

// TestAServerThatHangsEndsTheAttemptWithTheLease: as another may claim the job
// from then on.
func TestAServerThatHangsEndsTheAttemptWithTheLease(t *testing.T) {
	s := servers.StartMySQL(t)
	l, err := ledger.Open(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	j, err := l.CreateJob(t.Context(), job.Job{ID: job.NewID(), Source: blob.NewID()})
	if err != nil {
		t.Fatal(err)
	}
	d := Deps{Ledger: l, Lease: 4 * time.Second}
	if _, err := l.Claim(t.Context(), j.ID, "holder", d.Lease); err != nil {
		t.Fatal(err)
	}
	s.Pause()
	defer s.Resume()
	began := time.Now()
	beat, ctx := d.heartbeat(t.Context(), j.ID, "holder")
	defer beat.stop()
	<-ctx.Done()
	if took := time.Since(began); took < d.Lease/2 || took > d.Lease+time.Second {
		t.Errorf("the attempt ended after %v, want %v", took, d.Lease)
	}
	fixture.WantKind(t, beat.verdict(nil), fail.Unavailable)
}
