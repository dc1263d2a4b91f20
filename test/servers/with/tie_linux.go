package main

import (
	"os/exec"
	"runtime"
	"syscall"
)

// tie has the kernel ask the program to end when this one was killed. It must
// be called by the goroutine that runs the program: the kernel watches the
// thread.
func tie(cmd *exec.Cmd) (unlock func()) {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return runtime.UnlockOSThread
}
