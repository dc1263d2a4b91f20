package servers

import (
	"context"
	"os"
	"os/exec"
	"testing"
)

// Program says how any program is run as a Server.
type Program struct {
	Name    string
	URL     string                      // what Server.URL returns
	Command func() *exec.Cmd            // asked for at each start
	Ready   func(context.Context) error // nil once the program can be used
}

// NewProgram starts a program, with its log in a new folder in dir.
func NewProgram(dir string, p Program) (*Server, error) {
	dir, err := os.MkdirTemp(dir, p.Name+"-*")
	if err != nil {
		return nil, err
	}
	return open(&Server{name: p.Name, url: p.URL, dir: dir, command: p.Command, ready: p.Ready})
}

// StartProgram starts a program that ends with the test.
func StartProgram(t testing.TB, p Program) *Server {
	t.Helper()
	return own(t, func(dir string) (*Server, error) { return NewProgram(dir, p) })
}

// Log is what the server has written, over all its starts.
func (s *Server) Log() string {
	log, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(log)
}
