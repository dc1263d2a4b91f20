package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	mib       = 1 << 20
	maxMemory = 96 * mib
)

// memory measures the most memory that a fresh server ever had, from its
// start until it has taken a large upload.
func (b *bench) memory(ctx context.Context) (rows []row, err error) {
	r := row{
		what:   "peak memory of the server while " + size(b.file) + " is uploaded",
		rival:  none,
		target: fmt.Sprintf("≤ %d MiB", maxMemory/mib),
	}
	if runtime.GOOS != "linux" {
		r.ours, r.result, r.met = "not measured here", none, none
		return []row{r}, nil
	}
	path, err := b.randomFile("upload.bin")
	if err != nil {
		return nil, err
	}
	var before, after int64
	err = b.serving(ctx, func(s *server, c *client) error {
		if before, err = peak(s.cmd.Process.Pid); err != nil {
			return err
		}
		b.log.Printf("memory: uploading %s", size(b.file))
		j, err := c.upload(ctx, path)
		if err != nil {
			return err
		}
		if after, err = peak(s.cmd.Process.Pid); err != nil {
			return err
		}
		_, err = c.await(ctx, j.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	after = max(before, after) // the kernel's figure is a little behind
	b.log.Printf("memory: %.1f MiB before the upload, %.1f MiB after it", float64(before)/mib, float64(after)/mib)
	r.ours = fmt.Sprintf("%.1f MiB", float64(after)/mib)
	r.result = fmt.Sprintf("%.1f MiB before the upload", float64(before)/mib)
	r.met = yes(after <= maxMemory)
	return []row{r}, os.Remove(path)
}

// peak returns the most memory that the process had at any time, in bytes:
// VmHWM of proc_pid_status(5).
func peak(pid int) (int64, error) {
	status, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("no VmHWM in the status of process %d", pid)
}

// size writes a number of bytes.
func size(bytes int64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%g GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%g MiB", float64(bytes)/mib)
}
