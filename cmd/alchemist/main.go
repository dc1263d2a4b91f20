// Command alchemist is the whole system in one process: a web page and an API
// on HOST:PORT, everything it keeps under DATA_DIR. Its configuration is the
// environment; see package config.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	alchemist "github.com/opengundumstyle/audio-alchemist"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "usage: alchemist (it takes no arguments; its configuration is the environment, see README.md)")
		os.Exit(2)
	}
	syscall.Umask(0o077) // what it keeps is its user's alone
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "alchemist:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	slog.SetDefault(c.Logger(os.Stderr))
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Address())
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("PORT: %s is in use by another program; stop it or set PORT to another port", c.Address())
	}
	if err != nil {
		return fmt.Errorf("HOST, PORT: %w", err)
	}
	return alchemist.Run(ctx, c, l, os.Stdout)
}
