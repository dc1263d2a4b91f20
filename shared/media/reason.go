package media

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/media/sandbox"
)

// The reasons for which a file cannot be converted, in words for the person
// who uploaded it. All are fail.Invalid: the same file will fail again.
// Compare with errors.Is.
var (
	ErrNotMedia = fail.New(fail.Invalid, "This is not a video or audio file, or not of a kind that can be converted.")
	ErrPlaylist = fail.New(fail.Invalid, "This is no video, but a list of where videos are. Upload the video itself.")
	ErrArchive  = fail.New(fail.Invalid, "This is an archive. Unpack it, and upload the video that is in it.")
	ErrPicture  = fail.New(fail.Invalid, "This is a picture, which has no sound.")
	ErrDamaged  = fail.New(fail.Invalid, "The file is damaged or cut short; it cannot be read.")
	ErrCutShort = fail.New(fail.Invalid, "The file is cut short: a part of it is missing at the end. Perhaps it was not copied or uploaded completely.")
	ErrNoSound  = fail.New(fail.Invalid, "The file has no sound, so there is nothing to convert.")
	ErrCodec    = fail.New(fail.Invalid, "The sound of this file is encoded in a way that cannot be read.")
	ErrDuration = fail.New(fail.Invalid, "The sound is longer than is allowed for one file.") // see tooLong
	ErrStreams  = fail.New(fail.Invalid, "The file has more pictures, sounds and subtitles than are allowed for one file.")
	ErrTooLong  = fail.New(fail.Invalid, "The conversion takes longer than is allowed for one file.")
	ErrMemory   = fail.New(fail.Invalid, "The conversion needs more memory than is allowed for one file.")
	ErrTooLarge = fail.New(fail.Invalid, "The result would be larger than is allowed for one file.")
)

// tooLong is ErrDuration in words that have the limit.
func tooLong(longest time.Duration) error {
	text := longest.String()
	if longest%time.Minute == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if longest%time.Hour == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return &limitError{fail.New(fail.Invalid, "The sound is longer than %s, which is the most for one file.", text), ErrDuration}
}

// limitError is a reason that errors.Is takes for another one.
type limitError struct{ reason, is error }

func (o *limitError) Error() string        { return o.reason.Error() }
func (o *limitError) Unwrap() error        { return o.reason }
func (o *limitError) Is(target error) bool { return target == o.is } //nolint:errorlint // that is what Is is for

// outcome turns the end of a program into an error: the ctx's cause where it
// was ended for that, fail.Unavailable for a fault of this machine, the
// fail.Invalid reason that the program's messages point to otherwise.
func outcome(ctx context.Context, program string, err error, log *messages) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ended(ctx, "run "+program)
	}
	if e := (*fail.Error)(nil); errors.As(err, &e) {
		return err // judged already
	}
	err = &ProgramError{Program: program, Messages: log.String(), Err: err}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && limitOf(exit) != nil:
		return because(limitOf(exit), err)
	case exit != nil && log.has("exceeds max_streams parameter"):
		return because(ErrStreams, err)
	case exit != nil && (crashed(exit) || log.has(inputFile+": Cannot allocate memory")):
		// The second is a header that claims more than there could be.
		return because(ErrDamaged, err)
	case exit == nil || !exit.Exited() || exit.ExitCode() == sandbox.ExitFailed || log.has(faultsOfMachine...):
		return fail.Wrap(fail.Unavailable, err, "run %s", program)
	}
	if log.has("Cannot allocate memory") { // the kernel gives more than there is; the limit of the sandbox does not
		return because(ErrMemory, err)
	}
	return because(reason(log), err)
}

// unwritable is the error of a temporary file that cannot be written.
func unwritable(err error) error { return fail.Wrap(fail.Unavailable, err, "write a temporary file") }

// limitOf is the reason for which the kernel ended a program at a limit of
// the sandbox; nil where it did not.
func limitOf(exit *exec.ExitError) error {
	switch signal(exit) {
	case syscall.SIGXCPU:
		return ErrTooLong
	case syscall.SIGXFSZ:
		return ErrTooLarge
	}
	return nil
}

// signal is what ended a program; 0 where it ended by itself.
func signal(exit *exec.ExitError) syscall.Signal {
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return ws.Signal()
	}
	return 0
}

// ended is the error of what an ended ctx stopped: its cause.
func ended(ctx context.Context, operation string) error {
	cause := context.Cause(ctx)
	if e := (*fail.Error)(nil); errors.As(cause, &e) {
		return cause
	}
	return fail.Wrap(fail.Unavailable, cause, "%s", operation)
}

// because gives the person's reason, with what the operator may want to know.
func because(reason, cause error) error {
	return &rejection{reason: reason, cause: cause}
}

// rejection reads as both in a log; its chain goes on with the reason alone.
type rejection struct{ reason, cause error }

func (r *rejection) Error() string { return r.reason.Error() + ": " + r.cause.Error() }
func (r *rejection) Unwrap() error { return r.reason }

// crashed tells a signal by which a program ends itself on bad input from one
// that somebody sent, such as the kernel when it is short of memory.
func crashed(exit *exec.ExitError) bool {
	return slices.Contains([]syscall.Signal{syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGFPE, syscall.SIGILL, syscall.SIGBUS}, signal(exit))
}

var faultsOfMachine = []string{
	"No space left on device", "Disk quota exceeded", "File too large", "Input/output error",
	"Permission denied", "No such file or directory",
	"Too many open files", "Resource temporarily unavailable", "Read-only file system",
}

func reason(log *messages) error {
	switch {
	case log.has("Decoder not found", "Decoder (codec", "not currently supported", "not implemented"):
		return ErrCodec
	case log.has("moov atom not found", "partial file", "[mov,", "[matroska,", "[avi @", "[flv @", "[asf @"):
		return ErrDamaged // the container was recognised, and its demuxer had something to say
	case log.has("Invalid data found when processing input"):
		return ErrNotMedia
	}
	return ErrDamaged
}

// ProgramError is what ffmpeg or ffprobe left behind when it failed: for the
// operator's log, never for clients.
type ProgramError struct {
	Program  string // "ffmpeg" or "ffprobe"
	Messages string // the end of what it wrote to stderr, at most 8 KiB
	Err      error
}

// Error returns the exit status and the last messages on one line.
func (e *ProgramError) Error() string {
	return e.Program + ": " + e.Err.Error() + ": " + strings.ReplaceAll(e.Messages, "\n", " | ")
}

// Unwrap returns the cause.
func (e *ProgramError) Unwrap() error { return e.Err }
