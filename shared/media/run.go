package media

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/media/sandbox"
)

// inputFile and outputFile are how the programs see the files they are given:
// descriptors, so that no name reaches a command line. Linux opens the file
// anew, and unlinked ones too; elsewhere it is the same open file with the
// same offset, hence rewind.
const (
	inputFile    = "file:/dev/fd/3"
	outputFile   = "file:/dev/fd/4"
	metadataFile = "file:/dev/fd/5"
	coverFile    = "file:/dev/fd/6"
)

// inputOptions go before -i, for both programs alike: they must number the
// streams the same way. The demuxer is the one that was found by looking at
// the file (see sniff), and the list of one holds what a demuxer opens inside
// itself, such as subtitles in AVI, to the same.
func inputOptions(demuxer string) []string {
	return []string{
		"-protocol_whitelist", "file", "-f", demuxer, "-format_whitelist", demuxer,
		"-max_streams", strconv.Itoa(maxStreams),
	}
}

// maxStreams is how many streams a file may have, of all kinds.
const maxStreams = 256

// Bounds of one program. None is met by a file that is what it says it is;
// see docs/operations.md for what they were chosen from.
const (
	maxMemory = 1 << 30
	maxResult = 16 << 30
	maxRate   = 512 << 10 // bytes of a second of sound in any format
	maxFiles  = 64
	// longestProgram is in place of a deadline where a ctx has none.
	longestProgram = 10 * time.Minute
)

// run runs one program confined to its end, with stdin (nil for an empty one)
// and files as descriptors 3 and up, and returns how it ended; see outcome.
// The first of files is the input, which the program cannot write to; nil is
// none. Its whole process group is killed when ctx is done, and on Linux the
// program when this process dies. stdin must end with ctx.
func (t Tools) run(ctx context.Context, path string, args []string, stdin io.Reader, stdout io.Writer, log *messages, files ...*os.File) error {
	files, closeInput, err := handOver(files)
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "hand over the files")
	}
	defer closeInput()
	dir, release, err := emptyDir(t.WorkDir)
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "make an empty folder")
	}
	defer release()

	cmd := t.command(ctx, path, args, files)
	cmd.Dir = dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, log
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second // for the pipes, should a grandchild have left the group

	// Linux sends Pdeathsig when the thread that started the program ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}

func (t Tools) command(ctx context.Context, path string, args []string, files []*os.File) *exec.Cmd {
	if t.Bare {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = []string{} // not nil: that would hand on ours, secrets and all
		cmd.ExtraFiles = files
		return cmd
	}
	longest := longestProgram
	if end, ok := ctx.Deadline(); ok {
		longest = max(time.Until(end), time.Second)
	}
	return sandbox.Command(ctx, path, args, files, sandbox.Limits{
		CPU:      longest * time.Duration(runtime.NumCPU()), // should the end of ctx be missed
		Memory:   maxMemory,
		FileSize: t.fileSize(),
		Files:    maxFiles,
	})
}

// fileSize is the most that a program may write into one file, in bytes.
func (t Tools) fileSize() int64 {
	if t.MaxDuration <= 0 {
		return t.maxResult()
	}
	return min(t.maxResult(), 64<<20+int64(t.MaxDuration.Seconds()*maxRate))
}

func (t Tools) maxResult() int64 {
	if t.MaxResult <= 0 {
		return maxResult
	}
	return t.MaxResult
}

// end is one of the two of a pipe.
type end int

const (
	reading end = iota
	writing
)

// rewind sets the files that are there, but for pipes, to their beginning.
func rewind(files []*os.File) error {
	for _, f := range files {
		if f == nil {
			continue
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil && !errors.Is(err, syscall.ESPIPE) {
			return err
		}
	}
	return nil
}
