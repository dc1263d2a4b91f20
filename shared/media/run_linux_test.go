package media

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test program be the process that is killed below, and the
// one that is traced.
func TestMain(m *testing.M) {
	if order := os.Getenv("MEDIA_TEST_CORPUS"); order != "" {
		var c corpus
		if err := errors.Join(json.Unmarshal([]byte(order), &c), c.try(os.Stdout)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		os.Exit(0)
	}
	if program := os.Getenv("MEDIA_TEST_PROBE_WITH"); program != "" {
		in, err := TempFile("")
		if err != nil {
			os.Exit(2)
		}
		if _, err := in.WriteString("RIFF\x00\x00\x00\x00WAVE"); err != nil {
			os.Exit(2)
		}
		_, _ = Tools{FFprobe: program, Bare: true}.Probe(context.Background(), Local(in))
		os.Exit(3)
	}
	os.Exit(m.Run())
}

func TestAProgramDiesWithItsKilledParent(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	endless := script(t, "echo $$ >"+pid+".new; mv "+pid+".new "+pid+"; exec sleep 300")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), self)
	parent.Env = append(os.Environ(), "MEDIA_TEST_PROBE_WITH="+endless)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	within(t, 10*time.Second, func() bool {
		b, _ := os.ReadFile(pid)
		child, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return child > 0
	})
	if gone(child) {
		t.Fatal("the program ended by itself")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	within(t, 5*time.Second, func() bool { return gone(child) })
}

// TestAWidePipeWakesItsWriterSeldom: a full one takes more only once most of it
// was read.
func TestAWidePipeWakesItsWriterSeldom(t *testing.T) {
	r, w, err := widePipe(writing)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	full, err := w.Write(make([]byte, 4*wide))
	if !errors.Is(err, os.ErrDeadlineExceeded) || full < 64<<10 {
		t.Fatalf("took %d bytes: %v", full, err)
	}
	writable := func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.Fd()), Events: unix.POLLOUT}}, 0) //nolint:gosec // few are open
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	piece := make([]byte, full/16)
	for read := 1; ; read++ {
		if _, err := io.ReadFull(r, piece); err != nil {
			t.Fatal(err)
		}
		if !writable() {
			continue
		}
		if read < 8 {
			t.Errorf("writable after %d sixteenths of %d bytes were read", read, full)
		}
		return
	}
}
