package servers

import (
	"os/exec"
	"runtime"
	"syscall"
)

// tie puts the command into a process group of its own that ends with this
// process. It must be called by the goroutine that starts the command and
// waits for it: the kernel watches the thread.
func tie(cmd *exec.Cmd) (unlock func()) {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return runtime.UnlockOSThread
}
