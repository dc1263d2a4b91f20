package sandbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// landlockABI is the version of Landlock that the kernel has; 0 for none.
func landlockABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0 // not built in, not switched on, or kept from us by a container
	}
	return int(v)
}

// handled is all that a version of Landlock can forbid, see landlock(7).
func handled(abi int) unix.LandlockRulesetAttr {
	var a unix.LandlockRulesetAttr
	a.Handled_access_fs = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1 // the first version
	if abi >= 2 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		a.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 5 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		a.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return a
}

// landlock makes the orders that leave a program what it needs, and files:
// they can be opened again, as /dev/fd/N, for what they are open for. Where
// the kernel has no Landlock there are none.
func landlock(n needs, files []*os.File) []string {
	abi := landlockABI()
	if abi == 0 {
		return nil
	}
	all := handled(abi)
	orders := []string{fmt.Sprintf("landlock=%d:%d:%d", all.Handled_access_fs, all.Handled_access_net, all.Scoped)}
	for _, path := range n.run {
		orders = append(orders, fmt.Sprintf("path=%d:%s", unix.LANDLOCK_ACCESS_FS_EXECUTE|unix.LANDLOCK_ACCESS_FS_READ_FILE, path))
	}
	for _, path := range n.read {
		orders = append(orders, fmt.Sprintf("path=%d:%s", unix.LANDLOCK_ACCESS_FS_READ_FILE, path))
	}
	for i, f := range files {
		if access := accessOf(f) & all.Handled_access_fs; access != 0 {
			orders = append(orders, fmt.Sprintf("open=%d:%d", access, 3+i))
		}
	}
	return orders
}

// accessOf is what a file is open for; nothing where it is not open.
func accessOf(f *os.File) uint64 {
	const read, write = unix.LANDLOCK_ACCESS_FS_READ_FILE, unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	if f == nil {
		return 0
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	switch {
	case err != nil:
		return 0
	case flags&unix.O_ACCMODE == unix.O_RDONLY:
		return read
	case flags&unix.O_ACCMODE == unix.O_WRONLY:
		return write
	}
	return read | write
}
