// Command bench measures the real program on this machine, against what a
// person would run instead, and prints one table:
//
//	go run ./test/bench [-quick] [-only conversion,step,memory,throughput,broker,knative,gridfs,large,ledger]
//
// Progress goes to stderr. Its files are in ./bin, on the disk that is
// measured, and are gone when it ends. It needs Go, ffmpeg and, for the whole
// run, 8 GiB of disk. docs/benchmarks.md says what the rows mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if asked(os.Args[1:]) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// asked does what this program starts itself for, in a process of its own.
func asked(args []string) bool {
	switch {
	case len(args) == 2 && args[0] == stepCommand:
		stepped(args[1])
	case len(args) == 3 && args[0] == largeCommand:
		enlarged(args[1], args[2])
	default:
		return false
	}
	return true
}

// longest bounds the whole run.
const longest = 2 * time.Hour

// plan says how much is measured.
type plan struct {
	video   time.Duration // length of the long video
	pairs   int           // conversions of the long video, ours and plain
	clips   int           // the same of the clip of one second
	file    int64         // bytes of the file that is sent and fetched
	copies  int           // how often
	events  int
	blob    int   // bytes of the blob in GridFS
	blobs   int   // how often it is written and read, ours and the driver's
	largest int64 // bytes of the largest blob in GridFS
}

var (
	full  = plan{video: time.Hour, pairs: 3, clips: 25, file: 1 << 30, copies: 5, events: 5000, blob: 64 << 20, blobs: 5, largest: 2 << 30}
	quick = plan{video: 30 * time.Second, pairs: 3, clips: 5, file: 64 << 20, copies: 3, events: 1000, blob: 16 << 20, blobs: 3, largest: 256 << 20}
)

// bench is one run.
type bench struct {
	plan
	dir     string // for everything; on the disk that is measured
	program string // what is measured
	log     *log.Logger
}

// part is one thing that can be measured by itself.
type part struct {
	name    string
	measure func(*bench, context.Context) ([]row, error)
}

var parts = []part{
	{"conversion", (*bench).conversion},
	{"step", (*bench).step},
	{"memory", (*bench).memory},
	{"throughput", (*bench).throughput},
	{"broker", (*bench).broker},
	{"knative", (*bench).knative},
	{"gridfs", (*bench).gridfs},
	{"large", (*bench).large},
	{"ledger", (*bench).ledger},
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	short := flags.Bool("quick", false, "a rough measurement in a minute or two")
	only := flags.String("only", "", "measure only these parts, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	dir, err := scratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{plan: full, dir: dir, program: filepath.Join(dir, "alchemist"), log: log.New(progress, "", log.Ltime)}
	if *short {
		b.plan = quick
	}
	b.log.Print("building")
	if err := build(ctx, b.program); err != nil {
		return err
	}
	return b.all(ctx, chosen, out)
}

// all measures the parts and prints the table of what they found.
func (b *bench) all(ctx context.Context, parts []part, out io.Writer) error {
	var rows []row
	for _, p := range parts {
		found, err := p.measure(b, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		rows = append(rows, found...)
	}
	return write(out, rows)
}

// choose returns the parts with some names, all for an empty list.
func choose(some string) ([]part, error) {
	if some == "" {
		return parts, nil
	}
	var chosen []part
	for name := range strings.SplitSeq(some, ",") {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only: want some of %s, found %q", names(), name)
		}
		chosen = append(chosen, parts[i])
	}
	return chosen, nil
}

// names are those of all parts.
func names() string {
	var all []string
	for _, p := range parts {
		all = append(all, p.name)
	}
	return strings.Join(all, ",")
}

// scratch makes a folder below the working directory, where git does not look.
func scratch() (string, error) {
	bin, err := filepath.Abs("bin")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(bin, 0o750); err != nil {
		return "", err
	}
	return os.MkdirTemp(bin, "bench-*")
}

// build builds the program to path, with more flags of go build.
func build(ctx context.Context, path string, flags ...string) error {
	args := append(append([]string{"build", "-o", path}, flags...), "github.com/opengundumstyle/audio-alchemist/cmd/alchemist")
	cmd := exec.CommandContext(ctx, "go", args...) // #nosec G204 -- fixed but for the flags of our own test
	cmd.Env = os.Environ()
	if !slices.Contains(flags, "-race") {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}
