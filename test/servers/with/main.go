// Command with starts private servers and runs a program with their URLs in
// its environment: MariaDB as LEDGER_URL, a Mongo-wire server as BLOBS_URL,
// RabbitMQ as QUEUE_URL. Everything, the program's DATA_DIR included, is in a
// temporary folder and goes when the program ends. Killed, it leaves the folder,
// and on Linux no process.
//
//	go run ./test/servers/with bin/alchemist
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: with PROGRAM [ARGUMENT...]")
		os.Exit(2)
	}
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "with:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run returns the exit code of the program.
func run(command []string) (code int, err error) {
	// A Ctrl-C, or a terminal that is closed, reaches the program by itself: what
	// is left is to wait for it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	dir, err := os.MkdirTemp("", "alchemist-servers-*")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	env, remove, err := start(dir)
	defer func() { err = errors.Join(err, remove()) }()
	if err != nil || ctx.Err() != nil {
		return 1, err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) // #nosec G204 G702 -- the program that the caller names
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(append(os.Environ(), "DATA_DIR="+filepath.Join(dir, "data")), env...)
	defer tie(cmd)()
	err = cmd.Run()
	if cmd.ProcessState != nil { // it has said itself what was wrong
		return max(cmd.ProcessState.ExitCode(), 0), nil
	}
	return 1, err
}

// start starts the three servers side by side. remove must be called.
func start(dir string) (env []string, remove func() error, err error) {
	kinds := []struct {
		variable string
		start    func(string) (*servers.Server, error)
	}{{"LEDGER_URL", servers.NewMySQL}, {"BLOBS_URL", servers.NewMongo}, {"QUEUE_URL", servers.NewRabbit}}
	started, errs := make([]*servers.Server, len(kinds)), make([]error, len(kinds))
	var wg sync.WaitGroup
	for i, k := range kinds {
		wg.Go(func() { started[i], errs[i] = k.start(dir) })
	}
	wg.Wait()
	for i, s := range started {
		if s != nil {
			env = append(env, kinds[i].variable+"="+s.URL())
			fmt.Fprintf(os.Stderr, "%s=%s\n", kinds[i].variable, s.URL())
		}
	}
	return env, func() error {
		var errs []error
		for _, s := range started {
			if s != nil {
				errs = append(errs, s.Remove())
			}
		}
		return errors.Join(errs...)
	}, errors.Join(errs...)
}
