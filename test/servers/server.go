// Package servers starts the servers that the system works with, for tests
// and for `make run-servers`: MariaDB, RabbitMQ, and a server that speaks
// MongoDB's protocol. Each instance listens on a free port of 127.0.0.1, or of
// the address that SERVERS_HOST names, and keeps its data in a folder of its
// own.
package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/consul/sdk/freeport"
)

// startIn and stopIn bound how long a server may take for it.
const (
	startIn = 90 * time.Second
	stopIn  = 30 * time.Second
)

// Server is one private server. It can be stopped, killed and started again
// over the same data and address. Its methods are for one goroutine at a time.
type Server struct {
	name    string
	url     string
	secure  string
	dir     string
	command func() *exec.Cmd
	ready   func(context.Context) error

	cmd        *exec.Cmd
	ended      chan struct{}
	close      []func()
	management string   // RabbitMQ's only
	env        []string // of the command and of what controls it; RabbitMQ's only
}

// URL is where the server is, in the form that the configuration takes, with
// an account that may do everything.
func (s *Server) URL() string { return s.url }

// SecureURL is URL over TLS, for a client that trusts the server's own
// certificate and no other; "" for a server of NewProgram.
func (s *Server) SecureURL() string { return s.secure }

// Start starts the server and waits until it can be used.
func (s *Server) Start() error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.await()
}

// launch starts the process. It is tied to ours: the kernel kills it when we
// are killed, and as that goes by thread, one thread stays with it.
func (s *Server) launch() error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := s.command()
	cmd.Stdout, cmd.Stderr = log, log
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = log.Close() }()
		unlock := tie(cmd)
		defer unlock()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.cmd, s.ended = cmd, ended
	return nil
}

// await polls until the server answers.
func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), startIn)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("%s ended: %s", s.name, s.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %v: %w\n%s", s.name, startIn, err, s.tail())
		case <-tick.C:
		}
	}
}

// Stop ends the server in order, as an operator would.
func (s *Server) Stop() error {
	s.signal(syscall.SIGTERM)
	select {
	case <-s.ended:
		return nil
	case <-time.After(stopIn):
		s.Kill()
		return fmt.Errorf("%s did not stop within %v and was killed", s.name, stopIn)
	}
}

// Kill ends the server as a power cut would, but for what the system has yet
// to write to disk.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.ended
}

// Pause makes the server hang: connections stay, nothing is answered. Resume
// ends that.
func (s *Server) Pause() {
	s.signal(syscall.SIGSTOP)
	if s.cmd != nil {
		awaitStop(s.cmd.Process.Pid)
	}
}

// Resume ends Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	if s.cmd != nil {
		_ = syscall.Kill(-s.cmd.Process.Pid, sig)
	}
}

// Remove kills the server and removes its data.
func (s *Server) Remove() error {
	s.Kill()
	for _, f := range s.close {
		f()
	}
	return os.RemoveAll(s.dir)
}

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// tail is the end of what the server has written.
func (s *Server) tail() string {
	log, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-2000):])
}

// open makes a server of its parts and starts it. A server that does not
// start is removed.
func open(s *Server) (*Server, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

// FreePort finds a port of 127.0.0.1 that is this process's own as long as it
// runs: outside the range that the system chooses from, so that nobody gets
// it by chance before a server that is to listen on it does, or while that
// server is down.
func FreePort() (int, error) {
	ports, err := freeport.Take(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// host is the address of this machine that servers listen on: SERVERS_HOST, for
// clients that are elsewhere, as in the pods of a cluster, or that of this
// machine alone.
func host() string { return cmp.Or(os.Getenv("SERVERS_HOST"), "127.0.0.1") }

func local(port int) string { return net.JoinHostPort(host(), strconv.Itoa(port)) }

// command is a program that ends when it is told to: not with a context.
func command(program string, args ...string) *exec.Cmd {
	return exec.CommandContext(context.Background(), program, args...) // #nosec G204 -- programs of this package's own choice
}

// find looks programs up in PATH and where Debian keeps them.
func find(program string, places ...string) (string, error) {
	for _, p := range append([]string{program}, places...) {
		if path, err := exec.LookPath(p); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: `make test` does that", program)
}
