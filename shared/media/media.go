// Package media makes audio files of the sound of a video, with the programs
// ffprobe and ffmpeg: Probe looks, Prepare plans, Convert makes, Verify looks
// again. Both run in a sandbox (package sandbox): they see open
// files or a pipe and no names, an empty environment and an empty folder, they
// read only the containers of an allow-list, and they never outlive their
// caller.
package media

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// Tools names the two programs, by absolute path, and where they run. Find
// makes one.
type Tools struct {
	FFmpeg  string
	FFprobe string
	WorkDir string // an empty folder is made in it for each run; os.TempDir() where empty
	// CopyUpTo is the largest stream, in bytes, of which Open makes a copy in
	// WorkDir in any case; 0 makes none that is not needed. A copy is read once,
	// from front to back: of a small video that is less work for a store than a
	// look at its index, at its head and at the rest.
	CopyUpTo int64
	// Bitrate is that of an MP3 for which neither bit rate nor quality was asked
	// for, in bit/s; 0 means 192000.
	Bitrate int
	// MaxDuration is the longest sound that is taken; no bound where zero. It
	// also bounds the size of what is made.
	MaxDuration time.Duration
	MaxResult   int64 // most bytes of a result, and of any file that a program writes; 16 GiB where zero
	Bare        bool  // run them outside the sandbox: for tests, whose programs are scripts
}

// Find looks for both programs in PATH, or takes them as paths where they
// contain a slash; empty names mean "ffmpeg" and "ffprobe". Where there is no
// PATH at all, as under Knative's func, it looks where systems put programs.
// The error is fail.Unavailable and says how to install what is missing.
func Find(ffmpeg, ffprobe string) (Tools, error) {
	var t Tools
	for _, p := range []struct {
		name, standard string
		path           *string
	}{{ffmpeg, "ffmpeg", &t.FFmpeg}, {ffprobe, "ffprobe", &t.FFprobe}} {
		if p.name == "" {
			p.name = p.standard
		}
		found, err := lookPath(p.name)
		if err == nil {
			found, err = filepath.Abs(found) // the program starts in another folder
		}
		if err != nil {
			return Tools{}, fail.New(fail.Unavailable, "The program %q was not found; install it with: %s", p.name, installCommand())
		}
		*p.path = found
	}
	return t, nil
}

func lookPath(name string) (string, error) {
	found, err := exec.LookPath(name)
	if _, set := os.LookupEnv("PATH"); err == nil || set || filepath.Base(name) != name {
		return found, err
	}
	for _, folder := range []string{"/usr/local/bin", "/usr/bin", "/bin", "/opt/homebrew/bin"} {
		if found, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return found, nil
		}
	}
	return "", err
}

func installCommand() string {
	if runtime.GOOS == "darwin" {
		return "brew install ffmpeg"
	}
	return "apt-get install ffmpeg"
}

// Info is what Probe has found out about a file.
type Info struct {
	Container string        // as ffprobe names it: "mov,mp4,m4a,3gp,3g2,mj2"
	Duration  time.Duration // of the sound, else of the file; zero where the file does not say
	Audio     Stream        // the stream to convert
	Tracks    []Stream      // all that can be, in the order of the file
	Tags      Tags
	Chapters  []Chapter // at most 1,000

	demuxer string        // by which it is read
	longest time.Duration // MaxDuration of Tools
	claimed time.Duration // how long the file itself says that the sound is; zero where it does not
	whole   time.Duration // how long it says that it is itself
	oddly   bool          // something is missing at the end of the file
	unsure  bool          // the container is little more than a guess
	picture *picture      // attached to it; nil for none
	film    bool          // it has moving pictures
}

// Stream is one audio stream.
type Stream struct {
	Index      int    // in the file, all kinds of streams counted
	Codec      string // as ffprobe names it: "aac"
	SampleRate int    // in Hz
	Channels   int
	Bitrate    int           // in bit/s; zero where unknown
	Bits       int           // of a sample, as far as they mean something; zero where the codec does not say
	Language   string        // as the file has it, mostly ISO 639-2; may be empty
	Duration   time.Duration // as the stream says; zero where it does not

	lead     time.Duration // from the beginning of the file to that of the stream
	standard bool          // marked as the default
	tags     map[string]string
}

// Chapter is a part of the sound with a title of its own.
type Chapter struct {
	Start, End time.Duration
	Title      string // as long as a tag; may be empty
}

// Tags are those of a file; each may be empty, and has at most 1,000
// characters of valid UTF-8.
type Tags struct {
	Title, Artist, Album string
	Date                 string // mostly a year or YYYY-MM-DD
	Genre, Comment       string
}

// Result is what a conversion has made.
type Result struct {
	Format     options.Format
	Codec      string        // as ffprobe names it
	Duration   time.Duration // without the encoder's delay and padding; exact for an MP3 that was encoded
	SampleRate int           // in Hz
	Channels   int
	Bytes      int64
}

// TempFile makes a file in dir (os.TempDir() where empty) that has no name
// any more when it is returned: it is gone with its last descriptor, whatever
// becomes of the process. Errors are fail.Unavailable.
func TempFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "media-*")
	if err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "make a temporary file")
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, fail.Wrap(fail.Unavailable, err, "unlink a temporary file")
	}
	return f, nil
}
