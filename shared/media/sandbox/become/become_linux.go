// Package become turns this process into a confined program. It is the half
// of package sandbox that runs in the new process. Each start of a program
// waits for the packages that are initialised before it, and those with few
// imports come first. So it imports next to nothing, not even os, and decides
// nothing: it carries out orders that come as arguments, which hold no secret.
package become

import (
	"strconv"
	"syscall"
	"unsafe"
)

// Name is the first argument (argv[0]) of a process that is to be confined.
// What follows are orders, then "--" and the program with its arguments. All
// numbers but those of the filter are decimal:
//
//	close=FIRST              no descriptor from this one on stays
//	landlock=FS:NET:SCOPED   begin a ruleset, struct landlock_ruleset_attr
//	path=ACCESS:PATH         allow a file or what is below a folder, where there is one
//	open=ACCESS:FD           allow the file behind a descriptor
//	seccomp=CALL:FILTER      the number of seccomp(2), the filter
//	limit=RESOURCE:SOFT:HARD setrlimit, to no more than there is
const Name = "media-sandbox"

// exitFailed is ExitFailed of package sandbox.
const exitFailed = 125

// Numbers that package syscall lacks; they are the same on every architecture.
const (
	sysCloseRange            = 436
	sysLandlockCreateRuleset = 444
	sysLandlockAddRule       = 445
	sysLandlockRestrictSelf  = 446
	closeRangeCloexec        = 4
	prSetNoNewPrivs          = 38
	rulePathBeneath          = 1
	oPath                    = 0x200000
	seccompSetModeFilter     = 1
	seccompSpecAllow         = 4 // without it, kernels before 5.16 slow the program down
)

// init runs on the main thread, whose restrictions and parent-death signal
// the program keeps.
func init() {
	args := arguments()
	if len(args) == 0 || args[0] != Name {
		return
	}
	p := process{ruleset: -1}
	what, err := p.run(args[1:])
	_, _ = syscall.Write(2, []byte("sandbox: "+what+": "+err.Error()+"\n"))
	syscall.Exit(exitFailed)
}

// arguments is os.Args.
func arguments() (all []string) {
	fd, err := syscall.Open("/proc/self/cmdline", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil // then there is no /proc/self/exe to be started as
	}
	defer func() { _ = syscall.Close(fd) }()
	var line []byte
	for b := make([]byte, 16<<10); ; {
		n, err := syscall.Read(fd, b)
		if n <= 0 || err != nil {
			break
		}
		line = append(line, b[:n]...)
	}
	for begin, i := 0, 0; i < len(line); i++ {
		if line[i] == 0 {
			all, begin = append(all, string(line[begin:i])), i+1
		}
	}
	return all
}

// cut is strings.Cut at one byte.
func cut(s string, at byte) (before, after string) {
	for i := range len(s) {
		if s[i] == at {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// process is what was read of the orders and is not carried out yet.
type process struct {
	ruleset int
	limits  []limit
}

type limit struct {
	resource uintptr
	most     syscall.Rlimit
}

// run returns what failed, if it returns at all. Limits come last: from there
// on there may be less memory than the process has, and nothing is allocated.
func (p *process) run(args []string) (what string, err error) {
	// Set-uid programs lose their power; Landlock and seccomp ask for it.
	if _, _, errno := syscall.Syscall6(syscall.SYS_PRCTL, prSetNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
		return "no new privileges", errno
	}
	i := 0
	for ; i < len(args) && args[i] != "--"; i++ {
		if err := p.order(args[i]); err != nil {
			name, _ := cut(args[i], ':')
			return name, err
		}
	}
	if i+1 >= len(args) {
		return "no program", syscall.EINVAL
	}
	argv, err := syscall.SlicePtrFromStrings(args[i+1:])
	if err != nil {
		return "arguments", err
	}
	var environment [1]*byte
	if p.ruleset >= 0 {
		if _, _, errno := syscall.Syscall(sysLandlockRestrictSelf, uintptr(p.ruleset), 0, 0); errno != 0 {
			return "landlock", errno
		}
	}
	for l := range p.limits {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, p.limits[l].resource, uintptr(unsafe.Pointer(&p.limits[l].most)), 0, 0, 0)
		if errno != 0 {
			return "limit", errno
		}
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(argv[0])),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&environment[0])))
	return "start " + args[i+1], errno
}

func (p *process) order(arg string) error {
	name, value := cut(arg, '=')
	number, rest := cut(value, ':')
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return err
	}
	switch name {
	case "close":
		closeFrom(int(n))
		return nil
	case "landlock":
		return p.begin(n, rest)
	case "path":
		return p.allowPath(n, rest)
	case "open":
		fd, err := strconv.Atoi(rest)
		if err != nil {
			return err
		}
		return p.allow(fd, n)
	case "seccomp":
		return filter(uintptr(n), rest)
	case "limit":
		return p.limit(int(n), rest)
	}
	return syscall.EINVAL
}

// limit notes a limit. Who runs us may have set less.
func (p *process) limit(resource int, rest string) error {
	soft, hard := cut(rest, ':')
	l := limit{resource: uintptr(resource)}
	if err := syscall.Getrlimit(resource, &l.most); err != nil {
		return err
	}
	var want [2]uint64
	for i, digits := range []string{soft, hard} {
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			return err
		}
		want[i] = min(n, l.most.Max)
	}
	l.most = syscall.Rlimit{Cur: want[0], Max: want[1]}
	p.limits = append(p.limits, l)
	return nil
}

// closeFrom lets the descriptors end with this program.
func closeFrom(first int) {
	if _, _, errno := syscall.Syscall(sysCloseRange, uintptr(first), uintptr(^uint32(0)), closeRangeCloexec); errno == 0 {
		return
	}
	for fd := first; fd < 1<<16; fd++ { // before Linux 5.11
		syscall.CloseOnExec(fd)
	}
}
