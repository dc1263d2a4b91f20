package backend

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestAnAddressIsOpenedOnce(t *testing.T) {
	o := New(t.Context())
	dir := t.TempDir()
	ledger := "sqlite:" + filepath.Join(dir, "ledger.db")
	first, again, other := o.Ledger(ledger), o.Ledger(ledger), o.Ledger("sqlite:"+filepath.Join(dir, "other.db"))
	if first != again || first == other || len(o.checks) != 2 {
		t.Errorf("%p, %p, other %p, %d checks", first, again, other, len(o.checks))
	}
	if o.Blobs("file:"+dir) != o.Blobs("file:"+dir) {
		t.Error("one folder is two stores")
	}
	if err := errors.Join(o.Err(), o.Ready(t.Context()), o.Close()); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeOpenedIsNamed(t *testing.T) {
	for want, opens := range map[string]func(*Opener){
		"K_SINK: want the URL":  func(o *Opener) { o.Events("") },
		"LEDGER_URL: ":          func(o *Opener) { o.Ledger("mysql:nothing") },
		"BLOBS_URL: unknown":    func(o *Opener) { o.Blobs("s3://x") },
		"MAIL_URL: unknown":     func(o *Opener) { o.Mail("pigeon:x", "a@example.org") },
		"JOBS_URL: want the":    func(o *Opener) { o.Address("JOBS_URL", "") },
		"TOKEN_PUBLIC_KEYS: re": func(o *Opener) { o.Verifier("/nowhere", "", "i", "a") },
	} {
		o := New(t.Context())
		opens(o)
		if o.Err() == nil || !strings.HasPrefix(o.Err().Error(), want) {
			t.Errorf("error %v, want %q", o.Err(), want)
		}
		if o.Events("http://sink") != nil {
			t.Error("it opens more after an error")
		}
	}
}

// TestServersMayBeAway opens stores where nobody listens: that is no error,
// and within seconds Ready names each of them.
func TestServersMayBeAway(t *testing.T) {
	o := New(t.Context())
	o.Ledger("mysql://user:hunter2@127.0.0.1:9/db")
	o.Blobs("mongodb://127.0.0.1:9/db")
	if o.Err() != nil {
		t.Fatal(o.Err())
	}
	began := time.Now()
	err := o.Ready(t.Context())
	if !fail.Is(err, fail.Unavailable) || fail.Detail(err) != "Cannot be used now: ledger, blobs." || time.Since(began) > readyWithin+2*time.Second {
		t.Errorf("after %v: %v, for clients %q", time.Since(began), err, fail.Detail(err))
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error has a password: %v", err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadyAsksSideBySideAndOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := New(t.Context())
		var asked, broken atomic.Int32
		for _, name := range []string{"a", "b"} {
			o.watch(name, func(ctx context.Context) error {
				asked.Add(1)
				select {
				case <-time.After(2 * time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
				if name == "b" && broken.Load() != 0 {
					return errors.New("out of order")
				}
				return nil
			})
		}
		began := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if err := o.Ready(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took != 2*time.Second || asked.Load() != 2 {
			t.Errorf("100 questions took %v and %d checks", took, asked.Load())
		}
		broken.Store(1)
		if err := o.Ready(t.Context()); err != nil || asked.Load() != 2 {
			t.Errorf("the answer of a moment ago: %v, %d checks", err, asked.Load())
		}
		<-time.After(readyStays)
		if err := o.Ready(t.Context()); err == nil || fail.Detail(err) != "Cannot be used now: b." || !strings.Contains(err.Error(), "out of order") {
			t.Errorf("error %v", err)
		}
		broken.Store(0)
		<-time.After(readyStays)
		if err := o.Ready(t.Context()); err != nil {
			t.Errorf("when it works again: %v", err)
		}
	})
}

func TestReadyWaitsForNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := New(t.Context())
		var hung atomic.Int32
		release := make(chan struct{})
		o.watch("deaf", func(context.Context) error {
			hung.Add(1)
			<-release
			return nil
		})
		for range 10 {
			began := time.Now()
			if err := o.Ready(t.Context()); !fail.Is(err, fail.Unavailable) || time.Since(began) != readyWithin {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		if hung.Load() != 1 {
			t.Errorf("%d checks hang", hung.Load())
		}
		close(release)
		synctest.Wait()
		if err := o.Ready(t.Context()); err != nil {
			t.Errorf("once it has answered: %v", err)
		}
	})
}
