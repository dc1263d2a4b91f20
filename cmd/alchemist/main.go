// Command alchemist is the whole system in one process: a web page and an API
// on HOST:PORT, everything it keeps under DATA_DIR or on the servers that the
// configuration names. It also makes accounts, while the system runs or not.
// Its configuration is the environment; see package config.
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
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
)

const usage = `usage: alchemist [COMMAND]

  run            serve the whole system; the same without a command
  create-admin   make an administrator: ADMIN_EMAIL, ADMIN_PASSWORD or a chosen one
  make-keys      make the keys of TOKEN_SIGNING_KEY and LINK_KEY that are missing; print the public ones
  import-users   make accounts of the original system's table user: IMPORT_URL
  help           this text

The configuration is the environment; see README.md.
`

var commands = map[string]func(context.Context) error{
	"run": run, "create-admin": createAdmin, "import-users": importUsers, "make-keys": makeKeys,
}

func main() {
	name := "run"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	command, known := commands[name]
	switch {
	case len(os.Args) == 2 && (name == "help" || name == "-h" || name == "--help"):
		fmt.Print(usage)
		return
	case !known || len(os.Args) > 2:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	syscall.Umask(0o077) // what it keeps is its user's alone
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := command(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "alchemist:", err)
		os.Exit(1)
	}
}

func createAdmin(ctx context.Context) error {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	return alchemist.CreateAdmin(ctx, c, os.Stdout)
}

func makeKeys(context.Context) error {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	return alchemist.MakeKeys(c, os.Stdout)
}

func importUsers(ctx context.Context) error {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	done, err := alchemist.ImportUsers(ctx, c, os.Stderr)
	fmt.Println(done)
	if err == nil && done.Refused > 0 {
		err = errors.New("some rows are no account now; they are named above")
	}
	return err
}

func run(ctx context.Context) error {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	slog.SetDefault(telemetry.Logger(c.Logger(os.Stderr)))
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Address())
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("PORT: %s is in use by another program; stop it or set PORT to another port", c.Address())
	}
	if err != nil {
		return fmt.Errorf("HOST, PORT: %w", err)
	}
	return alchemist.Run(ctx, c, l, os.Stdout)
}
