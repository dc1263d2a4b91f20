package sandbox

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// architectures that a filter is written for: system calls have other numbers
// on each, which package unix knows.
var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// hasSeccomp reports whether there is a filter for this machine.
func hasSeccomp() bool {
	_, known := architectures[runtime.GOARCH]
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return known && errno == 0
}

// seccomp makes the order that takes away what Landlock cannot, or not on
// older kernels: every kind of socket, other processes, the start of a
// process, namespaces. No file needs them. The calls fail with EPERM. It needs
// no privilege, and unlike a network namespace it works in any container.
func seccomp() []string {
	if !hasSeccomp() {
		return nil
	}
	return []string{filterOrder()}
}

var filterOrder = sync.OnceValue(func() string { return order(filter(architectures[runtime.GOARCH])) })

func order(program []unix.SockFilter) string {
	var digits strings.Builder
	for _, i := range program { // as the machine has it in memory, the low byte first
		fmt.Fprintf(&digits, "%08x%02x%02x%04x", i.K, i.Jf, i.Jt, i.Code)
	}
	return fmt.Sprintf("seccomp=%d:%s", unix.SYS_SECCOMP, digits.String())
}

// denied is refused whatever its arguments. A program that aborts cannot send
// itself the signal, and then ends by SIGSEGV.
var denied = append([]uint32{
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_IO_URING_SETUP, // which opens sockets, too
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD,
	unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_TGKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_SEND_SIGNAL,
	unix.SYS_SETSID, unix.SYS_SETPGID, // or it would not be killed with its group
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
}, forks...)

// What a filter sees: struct seccomp_data of seccomp(2), on a machine with
// the low half of a word first.
const (
	callAt     = 0
	archAt     = 4
	argumentAt = 16
)

// filter is a program of the kernel's packet filter: it ends with what is to
// be done with a call. Jumps are relative, over so many instructions.
func filter(arch uint32) []unix.SockFilter {
	const load, jumpIf, jumpIfAny, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K,
		unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	allow := unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW}
	deny := unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	p := []unix.SockFilter{
		{Code: load, K: archAt}, {Code: jumpIf, K: arch, Jt: 1}, deny, // 32-bit calls have other numbers
		{Code: load, K: callAt}, {Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 0x4000_0000, Jf: 1}, deny, // and so have those of x32
	}
	for _, call := range denied {
		p = append(p, unix.SockFilter{Code: jumpIf, K: call, Jf: 1}, deny)
	}
	// clone makes threads, or processes. clone3 hides which in memory; the C
	// library takes clone where there is no clone3.
	p = append(p, unix.SockFilter{Code: jumpIf, K: unix.SYS_CLONE3, Jf: 1},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		unix.SockFilter{Code: jumpIf, K: unix.SYS_CLONE, Jf: 4},
		unix.SockFilter{Code: load, K: argumentAt}, unix.SockFilter{Code: jumpIfAny, K: unix.CLONE_THREAD, Jt: 1}, deny, allow)
	// Limits of its own can be read, those of others not changed.
	return append(p, unix.SockFilter{Code: jumpIf, K: unix.SYS_PRLIMIT64, Jf: 3},
		unix.SockFilter{Code: load, K: argumentAt}, unix.SockFilter{Code: jumpIf, K: 0, Jt: 1}, deny, allow)
}
