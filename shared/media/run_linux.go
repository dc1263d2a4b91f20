package media

import (
	"os"
	"strconv"
	"sync"
	"syscall"
)

// attributes puts a program into a group of its own, and ties its life to
// ours: the kernel kills it when we are killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// removedDir is one open folder that has been removed: nothing is in it,
// nothing can be made in it, and nothing of it stays behind after a kill.
var removedDir = sync.OnceValues(func() (*os.File, error) {
	dir, err := os.MkdirTemp("", "media-*")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if rmErr := os.Remove(dir); err == nil {
		err = rmErr
	}
	return f, err
})

func emptyDir() (string, func(), error) {
	f, err := removedDir()
	if err != nil {
		return "", nil, err
	}
	return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())), func() {}, nil
}
