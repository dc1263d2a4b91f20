//go:build unix && !linux

package servers

import (
	"os/exec"
	"syscall"
)

// tie puts the command into a process group of its own.
func tie(cmd *exec.Cmd) (unlock func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return func() {}
}

// awaitStop does nothing here: a signal takes hold soon.
func awaitStop(int) {}
