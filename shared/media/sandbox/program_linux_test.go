package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain lets the test program be the one that is confined: it then does
// what its second argument names and prints what came of it.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "attempt" {
		runtime.LockOSThread()
		fmt.Println(answer(attempts[os.Args[2]](os.Args[3:])))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func answer(said string, err error) string {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	case err != nil:
		return err.Error()
	case said == "":
		return "ok"
	}
	return said
}

// attempts are what a program that was taken over by its input would try.
var attempts = map[string]func(args []string) (string, error){
	"read":   func(a []string) (string, error) { b, err := os.ReadFile(a[0]); return string(b), err },
	"list":   func(a []string) (string, error) { _, err := os.ReadDir(a[0]); return "", err },
	"create": func(a []string) (string, error) { return "", os.WriteFile(a[0], []byte("x"), 0o600) },
	"link":   func(a []string) (string, error) { return "", os.Link(a[0], a[0]+strconv.Itoa(os.Getpid())) },
	"append": func(a []string) (string, error) {
		f, err := os.OpenFile(a[0], os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return "", err
		}
		_, err = f.WriteString("more")
		return "", err
	},
	"empty": func(a []string) (string, error) {
		_, err := os.OpenFile(a[0], os.O_WRONLY|os.O_TRUNC, 0)
		return "", err
	},
	"dial": func(a []string) (string, error) { _, err := net.Dial(a[0], a[1]); return "", err },
	"socket": func(a []string) (string, error) {
		family, _ := strconv.Atoi(a[0])
		_, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
		return "", err
	},
	"start": func(a []string) (string, error) {
		_, err := syscall.ForkExec(a[0], a, &syscall.ProcAttr{})
		return "", err
	},
	"become": func(a []string) (string, error) {
		return "", unix.Exec(a[0], a, nil)
	},
	"signal": func(a []string) (string, error) {
		pid, _ := strconv.Atoi(a[0])
		return "", unix.Kill(pid, 0)
	},
	"leave group": func([]string) (string, error) { return "", unix.Setpgid(0, 0) },
	"attach": func(a []string) (string, error) {
		pid, _ := strconv.Atoi(a[0])
		return "", unix.PtraceSeize(pid)
	},
	"environment": func([]string) (string, error) { return strings.Join(os.Environ(), ","), nil },
	"privileges": func([]string) (string, error) {
		n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
		return strconv.Itoa(n), err
	},
	"descriptors": func([]string) (string, error) {
		var open []string
		for fd := range 256 {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err == nil && flags&unix.FD_CLOEXEC == 0 { // what Go has opened since has the flag
				open = append(open, strconv.Itoa(fd))
			}
		}
		return strings.Join(open, " "), nil
	},
	"limits": func([]string) (string, error) {
		var said []string
		for _, r := range []int{unix.RLIMIT_CPU, unix.RLIMIT_FSIZE, unix.RLIMIT_NOFILE, unix.RLIMIT_CORE} {
			var l syscall.Rlimit
			if err := syscall.Getrlimit(r, &l); err != nil {
				return "", err
			}
			said = append(said, fmt.Sprint(l.Max))
		}
		return strings.Join(said, " "), nil
	},
	"protection": func([]string) (string, error) { return Supported().String(), nil },
}

// noLandlock is a filter that makes the kernel one without Landlock.
var noLandlock = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: callAt},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_LANDLOCK_CREATE_RULESET, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
}
