// Package sandbox runs a program that reads hostile files. The program gives
// up all it does not need before it starts: on Linux the file system but for
// its libraries and the files it is handed (Landlock), the network, other
// processes and the starting of them (seccomp), new privileges, the
// environment, inherited descriptors, and resources beyond Limits.
//
// A process cannot be confined from outside, and Go gives no way between fork
// and exec. So Command starts this very program again, under a name that the
// init function of package become knows: it confines the process and then
// becomes the program that was asked for. An init function and not main,
// because main may belong to others: to Knative's func, to a test. It is the
// one place of the project with work in an init; see ADR 0013.
package sandbox

import (
	"strings"
	"time"
)

// Limits bound one process. A zero value is no limit but that which the
// process has from its parent.
type Limits struct {
	CPU      time.Duration // of all its threads; then SIGXCPU ends it. Rounded up to seconds
	Memory   int64         // in bytes, what it may write to: heap and stacks. The address space is held to it and 2 GiB more
	FileSize int64         // in bytes, of each file it writes; then SIGXFSZ ends it
	Files    int           // open descriptors
}

// ExitFailed is the exit code of a process that could not be confined, or not
// become the program; stderr says why. ffmpeg and ffprobe have no such code.
const ExitFailed = 125

// Protection is what confines programs on this machine besides what needs no
// help of the kernel.
type Protection struct {
	Landlock int  // version of the ABI: from 1 files, from 4 TCP, from 6 signals; 0 where the kernel has none
	Seccomp  bool // no sockets, no other processes
	Limits   bool // rlimits
}

// Whole reports whether a program that is taken over reaches nothing but its
// own files: Landlock keeps it from the file system, seccomp from the network
// and from other processes. What later versions of Landlock add, seccomp has.
func (p Protection) Whole() bool { return p.Landlock >= 1 && p.Seccomp && p.Limits }

// String names what is in force and what is not, for one line of a log.
func (p Protection) String() string {
	parts := []string{}
	for _, part := range []struct {
		name string
		on   bool
	}{{"files by Landlock", p.Landlock >= 1}, {"TCP by Landlock", p.Landlock >= 4}, {"signals by Landlock", p.Landlock >= 6},
		{"sockets and processes by seccomp", p.Seccomp}, {"memory, time and size by rlimits", p.Limits}} {
		if part.on {
			parts = append(parts, part.name)
		} else {
			parts = append(parts, "NOT "+part.name)
		}
	}
	return strings.Join(parts, ", ")
}
