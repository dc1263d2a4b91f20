package files

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/blobtest"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// childEnv makes the test program a writer in a process of its own.
const childEnv = "BLOB_FILES_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

// child puts its standard input into the store, with files limited to 1 MiB
// where a second argument asks for it.
func child(dir string) int {
	if len(os.Args) > 2 {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}); err != nil {
			return 3
		}
	}
	s, err := Open(dir)
	if err != nil {
		return 4
	}
	_, err = s.Put(context.Background(), blob.Videos, os.Args[1], os.Stdin)
	if err != nil {
		_, _ = io.WriteString(os.Stdout, err.Error())
		return int(fail.KindOf(err)) + 100
	}
	return 0
}

func store(t *testing.T) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { s, _ := store(t); return s })
}

func temporary(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "tmp", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// stored returns every regular file below dir.
func stored(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAKilledPutLeavesNothingThatSweepDoesNotClear(t *testing.T) {
	s, dir := store(t)
	id := blob.NewID()
	cmd := exec.CommandContext(t.Context(), os.Args[0], id)
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe and a buffer hold: when it is written, some of it is on disk.
	if _, err := in.Write(make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	if n := len(temporary(t, dir)); n != 1 {
		t.Fatalf("%d temporary files during the Put, want 1", n)
	}
	if err := s.Sweep(t.Context()); err != nil || len(temporary(t, dir)) != 1 {
		t.Fatalf("Sweep (error %v) took the file of a living process", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if _, err := s.Open(t.Context(), blob.Videos, id); !fail.Is(err, fail.NotFound) {
		t.Errorf("Open: %v, want not found", err)
	}
	if len(temporary(t, dir)) != 1 {
		t.Fatal("nothing left for Sweep: the test proves nothing")
	}
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	if left := stored(t, dir); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

// A file size limit fails a write in its middle as a full disk does.
func TestAFailingDiskIsUnavailableAndLeavesNothing(t *testing.T) {
	_, dir := store(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], blob.NewID(), "limited")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stdin = bytes.NewReader(make([]byte, 2<<20))
	out, err := cmd.Output()
	if got, want := cmd.ProcessState.ExitCode(), 100+int(fail.Unavailable); got != want {
		t.Errorf("exit %d (%v, %s), want %d", got, err, out, want)
	}
	if left := stored(t, dir); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestSweepsAndPutsAtOnceLoseNothing(t *testing.T) {
	s, dir := store(t)
	ctx, stop := context.WithCancel(t.Context())
	var sweeps, puts sync.WaitGroup
	for range 2 {
		sweeps.Go(func() {
			for ctx.Err() == nil {
				if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
					t.Errorf("Sweep: %v", err)
				}
			}
		})
	}
	for range 4 {
		puts.Go(func() {
			for range 50 {
				if _, err := s.Put(ctx, blob.Audio, blob.NewID(), bytes.NewReader([]byte("x"))); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		})
	}
	puts.Wait()
	stop()
	sweeps.Wait()
	if n := len(stored(t, filepath.Join(dir, "mp3s"))); n != 200 {
		t.Errorf("%d blobs, want 200", n)
	}
	if left := temporary(t, dir); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestNoPutLeavesATemporaryFile(t *testing.T) {
	s, dir := store(t)
	id := blob.NewID()
	for range 2 { // the second is refused
		_, _ = s.Put(t.Context(), blob.Videos, id, bytes.NewReader([]byte("x")))
	}
	if left := temporary(t, dir); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestALostFolderIsUnavailable(t *testing.T) {
	s, dir := store(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	_, put := s.Put(t.Context(), blob.Videos, blob.NewID(), bytes.NewReader(nil))
	for name, err := range map[string]error{"Put": put, "Ready": s.Ready(t.Context()), "Sweep": s.Sweep(t.Context())} {
		if !fail.Is(err, fail.Unavailable) {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
	}
	if _, err := Open("/dev/null/blobs"); !fail.Is(err, fail.Unavailable) {
		t.Errorf("Open: %v, want unavailable", err)
	}
}
