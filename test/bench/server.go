package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

const (
	adminEmail    = "admin@example.com"
	adminPassword = "correct horse battery" // #nosec G101 -- of an account that lives as long as the measurement
)

// server is the real program, over a data folder of its own.
type server struct {
	url  string
	data string
	cmd  *exec.Cmd
	log  string // file

	ended chan error // gets one value
}

// start starts the program on a fresh data folder and waits until it is
// ready. The caller stops it.
func (b *bench) start(ctx context.Context) (*server, error) {
	data, err := os.MkdirTemp(b.dir, "data-*")
	if err != nil {
		return nil, err
	}
	free, err := servers.FreePort()
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(free)
	s := &server{url: "http://127.0.0.1:" + port, data: data, log: filepath.Join(data, "log"), ended: make(chan error, 1)}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()          // the program has its own descriptor
	s.cmd = exec.CommandContext(ctx, b.program) // #nosec G204 -- built by ourselves
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 10 * time.Second
	s.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "HOST=127.0.0.1", "PORT=" + port,
		"DATA_DIR=" + data, "LEDGER_URL=" + s.ledger(), "BLOBS_URL=file:" + s.blobs(),
		"ADMIN_EMAIL=" + adminEmail, "ADMIN_PASSWORD=" + adminPassword, "DRAIN_TIMEOUT=5s",
	}
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.await(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// ledger is the address of the ledger, blobs the folder of the blobs.
func (s *server) ledger() string { return "sqlite:" + filepath.Join(s.data, "ledger.db") }
func (s *server) blobs() string  { return filepath.Join(s.data, "blobs") }

// await waits until the server is ready.
func (s *server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return errors.New("the server ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// stop ends the server and removes its data. Its error has the end of the
// server's log if that did not end well.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	var err error
	select {
	case err = <-s.ended:
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		err = errors.Join(errors.New("the server did not drain"), <-s.ended)
	}
	if err != nil {
		log, _ := os.ReadFile(s.log)
		err = fmt.Errorf("the server: %w\n%s", err, bytes.TrimSpace(log[max(0, len(log)-4096):]))
	}
	return errors.Join(err, os.RemoveAll(s.data))
}

// serving runs do with a client of a fresh server that it starts and stops.
func (b *bench) serving(ctx context.Context, do func(*server, *client) error) (err error) {
	s, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	c, err := newClient(ctx, s.url)
	if err != nil {
		return err
	}
	defer c.http.CloseIdleConnections()
	return do(s, c)
}
