package become

import (
	"errors"
	"strconv"
	"syscall"
	"unsafe"
)

// begin makes a ruleset of Landlock; it is applied at the end.
func (p *process) begin(fs uint64, rest string) error {
	net, scoped := cut(rest, ':')
	attr := struct{ fs, net, scoped uint64 }{fs: fs}
	var err error
	if attr.net, err = strconv.ParseUint(net, 10, 64); err != nil {
		return err
	}
	if attr.scoped, err = strconv.ParseUint(scoped, 10, 64); err != nil {
		return err
	}
	// Older kernels take the longer struct where what they do not know is 0.
	fd, _, errno := syscall.Syscall(sysLandlockCreateRuleset, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return errno
	}
	p.ruleset = int(fd)
	return nil
}

// allowPath adds a rule for a file, or for all files below a folder.
func (p *process) allowPath(access uint64, path string) error {
	fd, err := syscall.Open(path, oPath|syscall.O_CLOEXEC, 0)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EACCES) {
		return nil // then the program cannot use it either
	}
	if err != nil {
		return err
	}
	defer func() { _ = syscall.Close(fd) }()
	return p.allow(fd, access)
}

// allow adds a rule for the file itself: it works for one without a name, too,
// when that is opened again as /proc/self/fd/N.
func (p *process) allow(fd int, access uint64) error {
	attr := struct {
		access uint64
		fd     int32
	}{access, int32(fd)}
	_, _, errno := syscall.Syscall6(sysLandlockAddRule, uintptr(p.ruleset), rulePathBeneath, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 && errno != syscall.EBADFD { // a pipe is in no file system: nothing has to be allowed
		return errno
	}
	return nil
}

// filter applies a filter of system calls: each struct sock_filter as a
// number of 16 hexadecimal digits.
func filter(call uintptr, digits string) error {
	var program []uint64
	for ; len(digits) >= 16; digits = digits[16:] {
		n, err := strconv.ParseUint(digits[:16], 16, 64)
		if err != nil {
			return err
		}
		program = append(program, n)
	}
	if len(program) == 0 {
		return syscall.EINVAL
	}
	prog := struct {
		length uint16
		filter *uint64
	}{uint16(len(program)), &program[0]}
	_, _, errno := syscall.Syscall(call, seccompSetModeFilter, seccompSpecAllow, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}
