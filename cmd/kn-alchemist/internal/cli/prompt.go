package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
)

// await returns what read does, or ends with ctx. Nothing cuts a read from a
// terminal off: it is left alone then, until the program ends, which is soon.
func await[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		got T
		err error
	}
	done := make(chan result, 1)
	go func() {
		got, err := read()
		done <- result{got, err}
	}()
	select {
	case r := <-done:
		return r.got, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// ask reads the address, unless it is given, and the password from a terminal.
func (a *app) ask(ctx context.Context, c *api.Client, email string) (credentials, error) {
	if email == "" {
		_, _ = fmt.Fprintf(a.err, "Email address for %s: ", c.Address())
		line, err := await(ctx, a.line)
		if err != nil {
			return credentials{}, err
		}
		email = line
	}
	password, err := a.secret(ctx, "Password for "+email)
	return credentials{email, password}, err
}

// line reads one line, and not a byte more.
func (a *app) line() (string, error) {
	var b strings.Builder
	for one := make([]byte, 1); ; {
		n, err := a.in.Read(one)
		switch {
		case n == 1 && one[0] == '\n', errors.Is(err, io.EOF) && b.Len() > 0:
			return strings.TrimSpace(b.String()), nil
		case n == 1:
			b.WriteByte(one[0])
		case err != nil:
			return "", &failure{exitUsage, "Nothing was entered."}
		}
	}
}

// secret asks for a password without showing it. However that ends, the
// terminal shows again what is typed.
func (a *app) secret(ctx context.Context, what string) (string, error) {
	fd := int(a.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", &failure{exitUsage, "There is no terminal to ask for a password at; use --password-stdin."}
	}
	if !a.bars.above(what + ":") {
		_, _ = fmt.Fprintf(a.err, "%s: ", what)
		defer func() { _, _ = fmt.Fprintln(a.err) }()
	}
	text, err := await(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	switch {
	case ctx.Err() != nil:
		_ = term.Restore(fd, before)
		return "", ctx.Err()
	case err != nil || len(text) == 0:
		return "", &failure{exitUsage, "No password was entered."}
	}
	return string(text), nil
}

// maxSecret is more than any password has, in bytes.
const maxSecret = 4096

// piped reads a password from standard input; a line break at its end does
// not count.
func (a *app) piped(ctx context.Context) (string, error) {
	text, err := await(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(a.in, maxSecret)) })
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if err != nil || password == "" {
		return "", &failure{exitUsage, "Standard input has no password."}
	}
	return password, nil
}
