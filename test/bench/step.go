package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/media"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

const (
	stepCommand = "step" // as the first argument: convert, and end
	stepMemory  = 150 * mib
	stepEach    = 40 * mib // more for each CPU
	stepDisk    = 16 * mib
	stepSample  = 50 * time.Millisecond
)

// step measures the most memory and temporary disk that one conversion has at
// any time, its programs included: of a video that is streamed from elsewhere.
func (b *bench) step(ctx context.Context) ([]row, error) {
	most := int64(stepMemory + stepEach*runtime.GOMAXPROCS(0))
	what := fmt.Sprintf(" of the conversion of a video of %g min, streamed, with its programs", b.video.Minutes())
	memory := row{what: "peak memory" + what, rival: none, result: none, target: fmt.Sprintf("≤ %d MiB", most/mib)}
	disk := row{what: "temporary disk" + what, rival: none, result: none, target: fmt.Sprintf("≤ %d MiB", stepDisk/mib)}
	if runtime.GOOS != "linux" {
		memory.ours, memory.met, disk.ours, disk.met = "not measured here", none, "not measured here", none
		return []row{memory, disk}, nil
	}
	path, err := b.longVideo(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, stepCommand, path) // #nosec G204 -- this program
	cmd.Env = append(os.Environ(), "TMPDIR="+b.dir)
	cmd.Stderr = os.Stderr
	b.log.Print("step: converting")
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	used, samples := watch(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	b.log.Printf("step: %.1f MiB of memory, %.1f MiB of disk, %d samples", float64(used.memory)/mib, float64(used.disk)/mib, samples)
	memory.ours, memory.met = fmt.Sprintf("%.1f MiB", float64(used.memory)/mib), yes(used.memory <= most)
	disk.ours, disk.met = fmt.Sprintf("%.1f MiB", float64(used.disk)/mib), yes(used.disk <= stepDisk)
	return []row{memory, disk}, nil
}

// stepped converts the file at path as one that is elsewhere.
func stepped(path string) {
	if err := convertStream(context.Background(), path); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func convertStream(ctx context.Context, path string) error {
	tools, err := media.Find("", "")
	if err != nil {
		return err
	}
	f, err := os.Open(path) // #nosec G304 -- made by ourselves
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	in, err := tools.Open(ctx, f, st.Size(), false)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := tools.Probe(ctx, in)
	if err != nil {
		return err
	}
	plan, err := tools.Prepare(ctx, in, info, options.Options{})
	if err != nil {
		return err
	}
	c := tools.Convert(ctx, in, plan, options.MP3, nil)
	_, copied := io.Copy(io.Discard, c)
	_, err = c.Wait()
	return errors.Join(copied, err)
}

// usage is what processes have, in bytes.
type usage struct{ memory, disk int64 }

// watch looks at a process and those that it started until it has ended, and
// returns the most that they had together at one time.
func watch(pid int) (most usage, samples int) {
	tick := time.NewTicker(stepSample)
	defer tick.Stop()
	for ; alive(pid); <-tick.C {
		u := usageOf(family(pid))
		most.memory, most.disk = max(most.memory, u.memory), max(most.disk, u.disk)
		samples++
	}
	return most, samples
}

// alive reports whether the process has not ended: a zombie has.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	_, state, ok := strings.Cut(string(stat), ") ")
	return err == nil && ok && !strings.HasPrefix(state, "Z")
}

// family lists a process and its descendants.
func family(pid int) []int {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		for _, list := range lists {
			children, _ := os.ReadFile(list) // #nosec G304 -- of /proc; it may have ended
			for _, child := range strings.Fields(string(children)) {
				if n, err := strconv.Atoi(child); err == nil {
					all = append(all, n)
				}
			}
		}
	}
	return all
}

// usageOf adds up the memory of processes, each page that they share counted
// once (Pss of proc_pid_smaps(5)), and the files without a name that they have
// open, each counted once.
func usageOf(pids []int) (u usage) {
	seen := map[uint64]bool{}
	for _, pid := range pids {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		smaps, _ := os.ReadFile(filepath.Join(dir, "smaps_rollup")) // it may have ended
		for line := range strings.Lines(string(smaps)) {
			var kib int64
			if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err == nil {
				u.memory += kib << 10
			}
		}
		fds, _ := filepath.Glob(filepath.Join(dir, "fd", "*"))
		for _, fd := range fds {
			info, err := os.Stat(fd)
			if err != nil || info.Mode()&fs.ModeType != 0 {
				continue
			}
			if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink == 0 && !seen[st.Ino] {
				seen[st.Ino] = true
				u.disk += st.Blocks * 512
			}
		}
	}
	return u
}
