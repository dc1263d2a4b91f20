package ledger

import (
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
	"github.com/opengundumstyle/audio-alchemist/test/clock"
)

func TestUsers(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		if has := must(l.HasAdmin(t.Context())); has {
			t.Error("an empty ledger has an administrator")
		}
		made := must(l.CreateUser(t.Context(), user.User{Email: "anna@example.com", PasswordHash: "x", Admin: true}))
		for name, got := range map[string]user.User{
			"by email": must(l.UserByEmail(t.Context(), "anna@example.com")),
			"by id":    must(l.UserByID(t.Context(), made.ID)),
		} {
			if got != made || !got.CreatedAt.Equal(c.Now()) {
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
	})
}

func TestLoginFailuresCountByAccountAndAddress(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, c *clock.Clock) {
		ctx, start := t.Context(), c.Now()
		for range 3 {
			c.Advance(time.Minute)
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
	})
}

func TestCreatingAUserTwiceIsCreatingThemOnce(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		first := must(l.CreateUser(t.Context(), user.User{Email: "anna@example.com", PasswordHash: "x"}))
		if again, err := l.CreateUser(t.Context(), first); err != nil || again != first {
			t.Errorf("the second time: %+v, %v", again, err)
		}
		first.Email = "ben@example.com"
		_, err := l.CreateUser(t.Context(), first)
		wantKind(t, err, fail.Exists)
	})
}

func TestAddressesDifferByCaseAndAccent(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		for _, email := range []string{"anna@example.com", "Anna@example.com", "änna@example.com", "🎬@example.com"} {
			made := must(l.CreateUser(t.Context(), user.User{Email: email, PasswordHash: "x"}))
			if got := must(l.UserByEmail(t.Context(), email)); got != made {
				t.Errorf("%s is %+v, want %+v", email, got, made)
			}
		}
		_, err := l.UserByEmail(t.Context(), "ANNA@example.com")
		wantKind(t, err, fail.NotFound)
	})
}
