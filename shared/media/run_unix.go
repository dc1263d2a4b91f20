//go:build unix && !linux

package media

import (
	"os"
	"syscall"
)

// attributes puts a program into a group of its own.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func emptyDir(dir string) (path string, release func(), err error) {
	path, err = os.MkdirTemp(dir, "media-*")
	return path, func() { _ = os.RemoveAll(path) }, err
}

// handOver rewinds the files: a program that opens /dev/fd/N has the same
// open file, offset and all.
func handOver(files []*os.File) (handed []*os.File, release func(), err error) {
	return files, func() {}, rewind(files)
}

// widePipe is a pipe.
func widePipe(end) (r, w *os.File, err error) { return os.Pipe() }
