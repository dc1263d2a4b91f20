package alchemist

import (
	"context"
	"fmt"
	"io"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

// ensureAdmin makes the first administrator where there is none. A password
// that it has to choose is printed to out, this once.
func ensureAdmin(ctx context.Context, s stores, out io.Writer) error {
	has, err := s.ledger.HasAdmin(ctx)
	if err != nil || has {
		return err
	}
	email, password := user.NormalizeEmail(s.config.AdminEmail), s.config.AdminPassword
	if err := user.CheckEmail(email); err != nil {
		return fail.Wrap(fail.Invalid, err, "ADMIN_EMAIL")
	}
	chosen := password == ""
	if chosen {
		password = user.NewPassword()
	} else if err := user.CheckPassword(password); err != nil {
		return fail.Wrap(fail.Invalid, err, "ADMIN_PASSWORD")
	}
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	if _, err := s.ledger.CreateUser(ctx, user.User{Email: email, PasswordHash: hash, Admin: true}); err != nil {
		return err
	}
	if chosen {
		_, err = fmt.Fprintf(out, "\n  An account was made for you. Its password is shown only now:\n\n    email     %s\n    password  %s\n\n", email, password)
	} else {
		_, err = fmt.Fprintf(out, "\n  An account was made for you: %s, with the password of ADMIN_PASSWORD.\n\n", email)
	}
	return err
}
