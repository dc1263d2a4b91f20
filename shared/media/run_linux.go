package media

import (
	"errors"
	"os"
	"strconv"
	"syscall"
)

// attributes puts a program into a group of its own, and ties its life to
// ours: the kernel kills it when we are killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// emptyDir makes a folder in dir and removes it at once: nothing is in it,
// nothing can be made in it, and nothing of it stays behind after a kill.
func emptyDir(dir string) (path string, release func(), err error) {
	name, err := os.MkdirTemp(dir, "media-*")
	if err != nil {
		return "", nil, err
	}
	f, err := os.Open(name)
	if err := errors.Join(err, os.Remove(name)); err != nil {
		_ = f.Close()
		return "", nil, err
	}
	return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())), func() { _ = f.Close() }, nil
}
