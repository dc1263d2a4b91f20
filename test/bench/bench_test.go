package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// tiny is enough to see that every part still measures what it says.
var tiny = plan{video: 2 * time.Second, pairs: 1, clips: 1, file: 1 << 20, copies: 1, events: 50, blob: 1 << 20, blobs: 1, largest: 4 << 20}

// TestMain is also what the program starts itself for.
func TestMain(m *testing.M) {
	if asked(os.Args[1:]) {
		return
	}
	os.Exit(m.Run())
}

func tinyBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{plan: tiny, dir: dir, program: filepath.Join(dir, "alchemist"), log: log.New(io.Discard, "", 0)}
	// As the other tests that run the program build it.
	if err := build(t.Context(), b.program, "-race"); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryPartMeasures(t *testing.T) {
	b := tinyBench(t)
	var out bytes.Buffer
	if err := b.all(t.Context(), parts, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{
		"| what ", "| --", "| conversion of ", "| the same to m4a", "| the same to FLAC", "| the same of a clip ",
		"| peak memory of the conv", "| temporary disk of the conv", "| peak memory of the server", "| upload of 1 MiB, synced; cp without",
		"| upload of 1 MiB, synced; cp and", "| download of 1 MiB ", "| events through the embedded broker, 1 ", "| events through the embedded broker, 16 ",
		"| events over RabbitMQ, publishers: 1; ", "| events over RabbitMQ, publishers: 16; ",
		"| GridFS, 1 MiB: Put ", "| GridFS, 1 MiB: Open ", "| GridFS: time to a byte ", "| peak memory of writing ",
		"| claims in MariaDB, 1 ", "| claims in MariaDB, 16 ",
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), &out)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) || strings.Contains(line, "NaN") || strings.Contains(line, "Inf") {
			t.Errorf("line %d: got %s, want it to begin with %q", i, line, want[i])
		}
		if i > 1 && !strings.ContainsAny(strings.Split(line, "|")[2], "123456789") &&
			!strings.Contains(line, "temporary disk") && // which may be none, or too short to be seen
			(runtime.GOOS == "linux" || !strings.Contains(line, "not measured here")) {
			t.Errorf("line %d has no figure: %s", i, line)
		}
	}
	left, err := filepath.Glob(filepath.Join(b.dir, "data-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left %v (%v), want no data folder", left, err)
	}
}

func TestAServerThatEndsIsToldWithItsLog(t *testing.T) {
	b := &bench{dir: t.TempDir(), log: log.New(io.Discard, "", 0)}
	b.program = filepath.Join(b.dir, "broken")
	if err := os.WriteFile(b.program, []byte("#!/bin/sh\necho because >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := b.start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "because") {
		t.Errorf("got %v, want the exit status and the log", err)
	}
}

// TestAllPartsAreNamed holds the comment of the program and the document to the
// parts that there are.
func TestAllPartsAreNamed(t *testing.T) {
	for _, file := range []string{"main.go", filepath.Join("..", "..", "docs", "benchmarks.md")} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if want := "-only " + names(); !strings.Contains(string(text), want) {
			t.Errorf("%s has no %s", file, want)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		args []string
	}{
		"an unknown flag":  {t.Context(), []string{"-fast"}},
		"an unknown part":  {t.Context(), []string{"-only", "conversion,speed"}},
		"a context at end": {ended, []string{"-quick"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			var out bytes.Buffer
			if err := run(c.ctx, c.args, &out, io.Discard); err == nil || out.Len() > 0 {
				t.Errorf("got error %v and output %q, want an error alone", err, &out)
			}
			if left, _ := filepath.Glob("bin/*"); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		want   float64
	}{
		"one":             {[]float64{3}, 3},
		"odd, not sorted": {[]float64{9, 1, 2}, 2},
		"even":            {[]float64{4, 1, 2, 100}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			if got := median(c.values); math.Abs(got-c.want) > 1e-9 {
				t.Errorf("got %g, want %g", got, c.want)
			}
		})
	}
}

func TestRows(t *testing.T) {
	b := &bench{plan: full}
	slow := b.wholeRow([]pair{{21 * time.Second, 20 * time.Second}, {22 * time.Second, 20 * time.Second}, {40 * time.Second, 20 * time.Second}})
	if slow.result != "× 1.100 (1.050 … 2.000, 3 pairs)" || slow.met != "no" {
		t.Errorf("whole conversion: got %+v", slow)
	}
	short := clipRow([]pair{{180 * time.Millisecond, 100 * time.Millisecond}})
	if short.result != "× 1.800 (1.800 … 1.800, 1 pairs)" || short.met != "no" {
		t.Errorf("clip: got %+v", short)
	}
	speed := b.speedRow("x", []pair{{4 * time.Second, time.Second}})
	if speed.ours != "256 MiB/s" || speed.rival != "1024 MiB/s" || !strings.HasPrefix(speed.result, "× 0.25 ") {
		t.Errorf("speed: got %+v", speed)
	}
}
