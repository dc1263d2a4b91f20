package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNothingOutlivesAKill kills the command in such a way that it can do
// nothing about it.
func TestNothingOutlivesAKill(t *testing.T) {
	program, dir := filepath.Join(t.TempDir(), "with"), t.TempDir()
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	mark := "TMPDIR=" + dir // of all that it starts
	cmd := exec.Command(program, "sh", "-c", "echo runs; exec sleep 300")
	cmd.Env = append(os.Environ(), mark)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for pid := range having(t, mark) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "runs\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	began := having(t, mark)
	for _, name := range []string{"with", "mariadbd", "mongo", "beam.smp", "epmd"} {
		if !slices.Contains(names(began), name) {
			t.Errorf("%s does not run; these do: %v", name, names(began))
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	deadline, tick := time.After(10*time.Second), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for left := began; len(left) > 0; left = having(t, mark) {
		select {
		case <-deadline:
			t.Fatalf("left after 10 s: %v", left)
		case <-tick.C:
		}
	}
}

// having returns the names of the processes that have the variable in their
// environment, by their ids.
func having(t *testing.T, variable string) map[int]string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]string{}
	for _, dir := range dirs {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), variable) {
			continue // it has ended, or is another user's
		}
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if err == nil && pid != 0 {
			all[pid] = strings.TrimSpace(string(name))
		}
	}
	return all
}

func names(processes map[int]string) (all []string) {
	for _, name := range processes {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
