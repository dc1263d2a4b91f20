package sandbox

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opengundumstyle/audio-alchemist/shared/media/sandbox/become"
)

// Supported asks the kernel what Command can rely on.
func Supported() Protection {
	return Protection{Landlock: landlockABI(), Seccomp: hasSeccomp(), Limits: true}
}

// Command is exec.CommandContext for a program that runs confined, with no
// environment. It can open its libraries, a few devices without content, and
// files: descriptors 3 and up, each for what its descriptor is open for. The
// rest of the exec.Cmd is the caller's. path is absolute, and a program of
// its own, not a script: what interprets that could not be started.
func Command(ctx context.Context, path string, args []string, files []*os.File, l Limits) *exec.Cmd {
	orders := []string{"close=" + strconv.Itoa(3+len(files))}
	orders = append(orders, landlock(needsOf(path), files)...)
	orders = append(orders, seccomp()...)
	orders = append(orders, l.orders()...)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append(append(orders, "--", path), args...)...)
	cmd.Args[0] = become.Name
	cmd.Env = []string{} // not nil: that would hand on ours, secrets and all
	cmd.ExtraFiles = files
	return cmd
}

// mappings is how much address space a program may have beyond the memory it
// writes to: its libraries, and stacks and arenas not in use.
const mappings = 2 << 30

func (l Limits) orders() []string {
	all := []string{fmt.Sprintf("limit=%d:0:0", unix.RLIMIT_CORE)}
	add := func(resource int, most int64) {
		if most > 0 {
			all = append(all, fmt.Sprintf("limit=%d:%d:%d", resource, most, most))
		}
	}
	if l.CPU > 0 {
		s := (l.CPU + time.Second - 1) / time.Second
		all = append(all, fmt.Sprintf("limit=%d:%d:%d", unix.RLIMIT_CPU, s, s+1)) // at the hard limit it would be SIGKILL
	}
	add(unix.RLIMIT_FSIZE, l.FileSize)
	add(unix.RLIMIT_NOFILE, int64(l.Files))
	if l.Memory > 0 {
		add(unix.RLIMIT_DATA, l.Memory)
		add(unix.RLIMIT_AS, l.Memory+mappings)
	}
	return all
}

// needs is what a program must be able to open by name.
type needs struct {
	run  []string // the program and its loader
	read []string // folders of libraries, and single files
}

var known sync.Map // of path to needs

// needsOf finds out what the program needs: the loader that it names, the
// folders where systems keep libraries, and those beside it, should it be
// installed elsewhere. What is not there does no harm.
func needsOf(path string) needs {
	if n, ok := known.Load(path); ok {
		return n.(needs)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path // the start fails, and says why
	}
	n := needs{run: []string{real}, read: []string{
		"/etc/ld.so.cache", "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib",
		"/dev/null", "/dev/urandom", // devices without content
	}}
	if loader := loaderOf(real); loader != "" {
		n.run = append(n.run, loader)
	}
	n.read = append(n.read, besides(real)...)
	known.Store(path, n)
	return n
}

// stores hold packages whose programs have their libraries in other packages.
var stores = []string{"/nix/store/", "/gnu/store/", "/home/linuxbrew/.linuxbrew/"}

// besides returns where a program that is not the system's has its libraries:
// in /opt/ffmpeg/bin that is this folder and /opt/ffmpeg/lib.
func besides(program string) []string {
	for _, s := range stores {
		if strings.HasPrefix(program, s) {
			return []string{s}
		}
	}
	folder := filepath.Dir(program)
	switch folder {
	case "/bin", "/usr/bin", "/usr/local/bin":
		return nil
	}
	read := []string{folder}
	if filepath.Base(folder) == "bin" {
		prefix := filepath.Dir(folder)
		read = append(read, filepath.Join(prefix, "lib"), filepath.Join(prefix, "lib64"))
	}
	return read
}

// loaderOf reads which program loads the libraries of an ELF program; empty
// where there is none.
func loaderOf(program string) string {
	f, err := elf.Open(program)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > unix.PathMax {
			continue
		}
		name := make([]byte, p.Filesz)
		if _, err := p.ReadAt(name, 0); err != nil {
			return ""
		}
		return strings.TrimRight(string(name), "\x00")
	}
	return ""
}
