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

func emptyDir() (string, func(), error) {
	dir, err := os.MkdirTemp("", "media-*")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
