package ledger

import (
	"sync"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
	"github.com/opengundumstyle/audio-alchemist/test/clock"
)

func person(t *testing.T, l *Ledger, email string, admin bool) user.User {
	t.Helper()
	return must(l.CreateUser(t.Context(), user.User{Email: email, PasswordHash: "x", Admin: admin}))
}

func TestUsersAreListedByAddressInPages(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		dora, anna, ben := person(t, l, "dora@example.com", false), person(t, l, "anna@example.com", true), person(t, l, "ben@example.com", false)
		first := must(l.Users(t.Context(), "", 2))
		second := must(l.Users(t.Context(), first[1].Email, 2))
		if len(first) != 2 || first[0] != anna || first[1] != ben || len(second) != 1 || second[0] != dora {
			t.Errorf("pages %+v, %+v", first, second)
		}
		if found := must(l.UsersByID(t.Context(), []string{ben.ID, "nobody"})); len(found) != 1 || found[0] != ben {
			t.Errorf("by id: %+v", found)
		}
		if found := must(l.UsersByID(t.Context(), nil)); len(found) != 0 {
			t.Errorf("of no ids: %+v", found)
		}
	})
}

func TestAnAccountIsChanged(t *testing.T) {
	yes, no := true, false
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		anna, ben := person(t, l, "anna@example.com", true), person(t, l, "ben@example.com", false)
		for _, step := range []struct {
			name            string
			id              string
			change          UserChange
			kind            fail.Kind // of the error; Internal for none
			admin, disabled bool      // afterwards
		}{
			{"nothing", ben.ID, UserChange{}, fail.Internal, false, false},
			{"disabled", ben.ID, UserChange{Disabled: &yes}, fail.Internal, false, true},
			{"an administrator who cannot log in", ben.ID, UserChange{Admin: &yes}, fail.Internal, true, true},
			{"the last who can is disabled", anna.ID, UserChange{Disabled: &yes}, fail.Exists, true, false},
			{"the last who can is demoted", anna.ID, UserChange{Admin: &no}, fail.Exists, true, false},
			{"enabled", ben.ID, UserChange{Disabled: &no}, fail.Internal, true, false},
			{"no longer the last", anna.ID, UserChange{Admin: &no, Disabled: &yes}, fail.Internal, false, true},
			{"nobody", "nobody", UserChange{Admin: &yes}, fail.NotFound, false, false},
		} {
			got, err := l.ChangeUser(t.Context(), step.id, step.change)
			if (err == nil) != (step.kind == fail.Internal) || err != nil && !fail.Is(err, step.kind) {
				t.Errorf("%s: %v", step.name, err)
			}
			if step.kind == fail.NotFound {
				continue
			}
			there := must(l.UserByID(t.Context(), step.id))
			if there.Admin != step.admin || there.Disabled != step.disabled || err == nil && got != there {
				t.Errorf("%s: there is %+v, answered %+v", step.name, there, got)
			}
		}
	})
}

func TestTwoAdministratorsDoNotDemoteOneAnother(t *testing.T) {
	no := false
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		ids := []string{person(t, l, "anna@example.com", true).ID, person(t, l, "ben@example.com", true).ID}
		var (
			both sync.WaitGroup
			errs [2]error
		)
		for i, id := range ids {
			both.Go(func() { _, errs[i] = l.ChangeUser(t.Context(), id, UserChange{Admin: &no}) })
		}
		both.Wait()
		if fail.Is(errs[0], fail.Exists) == fail.Is(errs[1], fail.Exists) || !must(l.HasAdmin(t.Context())) {
			t.Errorf("errors %v", errs)
		}
	})
}

func TestAPasswordIsReplaced(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger, _ *clock.Clock) {
		anna := person(t, l, "anna@example.com", true)
		anna.PasswordHash = "another"
		if got := must(l.SetPassword(t.Context(), anna.ID, "another")); got != anna || must(l.UserByID(t.Context(), anna.ID)) != anna {
			t.Errorf("got %+v", got)
		}
		_, err := l.SetPassword(t.Context(), "nobody", "another")
		wantKind(t, err, fail.NotFound)
	})
}
