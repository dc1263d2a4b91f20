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

// wide is how much may be on its way from one program to another, in bytes;
// the kernel may allow less (net.core.wmem_max).
const wide = 1 << 20

// widePipe is a pipe for much: a pair of sockets. Whoever waits to write to a
// pipe is woken as soon as a page is read of it, and soon waits again; to a
// socket only once three quarters are read. The other end than ours is for a
// program: to wait on as programs do.
func widePipe(ours end) (r, w *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	err = errors.Join(
		syscall.SetsockoptInt(fds[writing], syscall.SOL_SOCKET, syscall.SO_SNDBUF, wide),
		syscall.Shutdown(fds[reading], syscall.SHUT_WR),
		syscall.SetNonblock(fds[ours], true),
	)
	r, w = os.NewFile(uintptr(fds[reading]), "samples"), os.NewFile(uintptr(fds[writing]), "samples")
	if err != nil {
		_, _ = r.Close(), w.Close()
		return nil, nil, os.NewSyscallError("make a pipe of sockets", err)
	}
	return r, w, nil
}
