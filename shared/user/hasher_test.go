package user

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestHashIsWhatWasAskedFor(t *testing.T) {
	h := NewHasher(HasherOptions{})
	hash, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	shape := regexp.MustCompile(`^\$argon2id\$v=19\$m=47104,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`)
	if !shape.MatchString(hash) {
		t.Fatalf("hash = %q", hash)
	}
	again, err := h.Hash(t.Context(), "correct horse")
	if err != nil || again == hash {
		t.Fatalf("the second hash of the same password is %q, %v: want another salt", again, err)
	}
}

func TestHashRefusesBadPasswords(t *testing.T) {
	if hash, err := NewHasher(HasherOptions{}).Hash(t.Context(), "short"); hash != "" || !fail.Is(err, fail.Invalid) {
		t.Fatalf("Hash = %q, %v", hash, err)
	}
}

func TestHashOldTakesShortPasswords(t *testing.T) {
	h := NewHasher(HasherOptions{})
	hash, err := h.HashOld(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := h.Verify(t.Context(), hash, "x"); err != nil || !ok {
		t.Errorf("Verify = %v, %v", ok, err)
	}
	if hash, err := h.HashOld(t.Context(), ""); hash != "" || !fail.Is(err, fail.Invalid) {
		t.Errorf("HashOld of nothing = %q, %v", hash, err)
	}
}

func TestVerify(t *testing.T) {
	// From the tests of the reference implementation, of "password".
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h := NewHasher(HasherOptions{})
	hash, err := h.Hash(t.Context(), "jose\u0301 y Ana")
	if err != nil {
		t.Fatal(err)
	}
	long, err := h.Hash(t.Context(), strings.Repeat("x", MaxPassword))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		hash, password string
		want           bool
	}{
		"the same":               {hash, "jose\u0301 y Ana", true},
		"composed":               {hash, "jos\u00e9 y Ana", true},
		"another":                {hash, "jose y Ana", false},
		"empty":                  {hash, "", false},
		"another hash":           {long, "jose\u0301 y Ana", false},
		"longest":                {long, strings.Repeat("x", MaxPassword), true},
		"longer with same start": {long, strings.Repeat("x", MaxPassword+1), false},
		"reference":              {reference, "password", true},
		"reference, another":     {reference, "passwort", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := h.Verify(t.Context(), tt.hash, tt.password)
			if err != nil || got != tt.want {
				t.Errorf("Verify = %v, %v, want %v", got, err, tt.want)
			}
		})
	}
	if ok, err := h.Verify(t.Context(), "$argon2id$broken", "password"); ok || !fail.Is(err, fail.Internal) {
		t.Errorf("Verify of a broken hash = %v, %v", ok, err)
	}
	if err := h.VerifyUnknown(t.Context(), "password"); err != nil {
		t.Errorf("VerifyUnknown = %v", err)
	}
}

func TestFiftyLoginsAtOnceTakeTheMemoryOfTwo(t *testing.T) {
	const limit = 320 << 20 // fifty unbounded would take 2.3 GiB
	h := NewHasher(HasherOptions{Concurrent: 2, Wait: time.Minute})
	hash, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			password, want := "correct horse", true
			if i%2 == 1 {
				password, want = "wrong horse", false
			}
			if ok, err := h.Verify(t.Context(), hash, password); err != nil || ok != want {
				t.Errorf("login %d: %v, %v", i, ok, err)
			}
		})
	}
	all.Wait()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("heap at its largest: %d MiB", m.HeapSys>>20)
	if m.HeapSys > limit { // what the heap has ever taken from the system
		t.Errorf("heap at its largest: %d MiB, want at most %d", m.HeapSys>>20, limit>>20)
	}
}

func TestNoTurnIsUnavailable(t *testing.T) {
	full := func(o HasherOptions) *Hasher {
		o.Concurrent = 1
		h := NewHasher(o)
		h.slots <- struct{}{}
		return h
	}
	t.Run("after the wait", func(t *testing.T) {
		h := full(HasherOptions{Wait: time.Millisecond})
		err := h.VerifyUnknown(t.Context(), "password")
		if !fail.Is(err, fail.Unavailable) || fail.RetryAfter(err) <= 0 {
			t.Fatalf("VerifyUnknown = %v, retry after %v", err, fail.RetryAfter(err))
		}
		if n := h.waiting.Load(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
	t.Run("past the queue", func(t *testing.T) {
		h := full(HasherOptions{Queue: 1, Wait: time.Hour})
		h.waiting.Store(1)
		_, err := h.Hash(t.Context(), "password")
		if !fail.Is(err, fail.Unavailable) || fail.RetryAfter(err) <= 0 {
			t.Fatalf("Hash = %v, retry after %v", err, fail.RetryAfter(err))
		}
		if n := h.waiting.Load(); n != 1 {
			t.Errorf("%d wait, want 1", n)
		}
	})
	t.Run("when the caller leaves", func(t *testing.T) {
		h := full(HasherOptions{Wait: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.VerifyUnknown(ctx, "password") }()
		cancel()
		if err := <-ended; !fail.Is(err, fail.Unavailable) || !errors.Is(err, context.Canceled) {
			t.Fatalf("VerifyUnknown = %v", err)
		}
	})
	t.Run("a turn that ends is given on", func(t *testing.T) {
		h := full(HasherOptions{Wait: time.Minute})
		ended := make(chan error)
		go func() { ended <- h.VerifyUnknown(t.Context(), "password") }()
		<-h.slots
		if err := <-ended; err != nil {
			t.Fatalf("VerifyUnknown = %v", err)
		}
	})
}

// BenchmarkVerify shows what one login costs.
func BenchmarkVerify(b *testing.B) {
	h := NewHasher(HasherOptions{})
	b.ReportAllocs()
	for b.Loop() {
		if err := h.VerifyUnknown(b.Context(), "correct horse"); err != nil {
			b.Fatal(err)
		}
	}
}
