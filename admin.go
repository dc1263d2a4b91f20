package alchemist

import (
	"context"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

// firstAdmin makes the first administrator where there is none. A password
// that it has to choose is printed to out, this once.
type firstAdmin struct {
	config config.Config
	ledger *ledger.Ledger
	out    io.Writer

	account  user.User // chosen, and perhaps stored: an answer of the ledger can be lost
	password string    // chosen for it; empty where ADMIN_PASSWORD was
}

// ensure may be called again after fail.Unavailable. Any other error stays.
func (a *firstAdmin) ensure(ctx context.Context) error {
	if a.account.ID == "" {
		has, err := a.ledger.HasAdmin(ctx)
		if err != nil || has {
			return err
		}
		if err := a.choose(ctx); err != nil {
			return err
		}
	}
	_, err := a.ledger.CreateUser(ctx, a.account)
	if fail.Is(err, fail.Exists) {
		if has, asked := a.ledger.HasAdmin(ctx); asked != nil || has {
			return asked // another process was quicker
		}
		return fail.Wrap(fail.Exists, err, "ADMIN_EMAIL")
	}
	if err != nil {
		return err
	}
	return a.announce()
}

// announce prints the account, once.
func (a *firstAdmin) announce() (err error) {
	if a.password != "" {
		_, err = fmt.Fprintf(a.out, "\n  An account was made for you. Its password is shown only now:\n\n    email     %s\n    password  %s\n\n", a.account.Email, a.password)
	} else {
		_, err = fmt.Fprintf(a.out, "\n  An account was made for you: %s, with the password of ADMIN_PASSWORD.\n\n", a.account.Email)
	}
	return fail.Wrap(fail.Internal, err, "print the account")
}

// choose reads the account from the configuration.
func (a *firstAdmin) choose(ctx context.Context) error {
	email, password := user.NormalizeEmail(a.config.AdminEmail), a.config.AdminPassword
	if err := user.CheckEmail(email); err != nil {
		return fail.Wrap(fail.Invalid, err, "ADMIN_EMAIL")
	}
	chosen := ""
	if password == "" {
		chosen = user.NewPassword()
		password = chosen
	} else if err := user.CheckPassword(password); err != nil {
		return fail.Wrap(fail.Invalid, err, "ADMIN_PASSWORD")
	}
	hash, err := user.NewHasher(user.HasherOptions{}).Hash(ctx, password)
	if err != nil {
		return err
	}
	a.account = user.User{ID: uuid.NewString(), Email: email, PasswordHash: hash, Admin: true}
	a.password = chosen
	return nil
}
