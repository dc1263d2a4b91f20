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

// handOver opens the input anew, for reading alone: whoever may write to a
// temporary file need not hand that on to a program. The rest is rewound. The
// programs open their files again by the descriptors, each with an offset of
// its own.
func handOver(files []*os.File) (handed []*os.File, release func(), err error) {
	if len(files) == 0 || files[0] == nil {
		return files, func() {}, rewind(files)
	}
	in, err := os.Open("/proc/self/fd/" + strconv.Itoa(int(files[0].Fd())))
	if err != nil {
		return nil, nil, err
	}
	if err := rewind(files[1:]); err != nil {
		_ = in.Close()
		return nil, nil, err
	}
	return append([]*os.File{in}, files[1:]...), func() { _ = in.Close() }, nil
}
