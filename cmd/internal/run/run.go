// Package run is what the mains of the single functions share: configuration,
// logging, stores, serving, the end.
package run

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// Function is the whole main of a function: build makes its handler of the
// configuration and the stores that it opens. It returns after SIGTERM or
// SIGINT, when the last request is answered, and ends the program with exit
// code 1 when something is wrong.
func Function(build func(c config.Config, o *backend.Opener) http.Handler) {
	syscall.Umask(0o077) // what it keeps is its user's alone
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(ctx, build); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, build func(config.Config, *backend.Opener) http.Handler) (err error) {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	slog.SetDefault(telemetry.Logger(c.Logger(os.Stderr)))
	o := backend.New(ctx)
	defer func() {
		if closed := o.Close(); err == nil {
			err = closed
		}
	}()
	handler := build(c, o)
	if err := o.Err(); err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Address())
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "HOST, PORT: listen on %s", c.Address())
	}
	slog.Info("serving", "address", l.Addr().String())
	return web.Server{Handler: handler, Ready: o.Ready, Drain: c.DrainTimeout}.Serve(ctx, l)
}
