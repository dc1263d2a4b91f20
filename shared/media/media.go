// Package media makes an MP3 of the sound of a video, with the programs
// ffprobe and ffmpeg. Both run in a sandbox (package sandbox): they see open
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
)

// Tools names the two programs, by absolute path, and where they run. Find
// makes one.
type Tools struct {
	FFmpeg  string
	FFprobe string
	WorkDir string // an empty folder is made in it for each run; os.TempDir() where empty
	// MaxDuration is the longest sound that is taken; no bound where zero. It
	// also bounds the size of what is made.
	MaxDuration time.Duration
	Bare        bool // run them outside the sandbox: for tests, whose programs are scripts
}

// Find looks for both programs in PATH, or takes them as paths where they
// contain a slash; empty names mean "ffmpeg" and "ffprobe". The error is
// fail.Unavailable and says how to install what is missing.
func Find(ffmpeg, ffprobe string) (Tools, error) {
	var t Tools
	for _, p := range []struct {
		name, standard string
		path           *string
	}{{ffmpeg, "ffmpeg", &t.FFmpeg}, {ffprobe, "ffprobe", &t.FFprobe}} {
		if p.name == "" {
			p.name = p.standard
		}
		found, err := exec.LookPath(p.name)
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
	Tags      Tags

	demuxer string        // by which it is read
	longest time.Duration // MaxDuration of Tools
	claimed time.Duration // how long the file itself says that the sound is; zero where it does not
	oddly   bool          // something is missing at the end of the file
	unsure  bool          // the container is little more than a guess
}

// Stream is one audio stream.
type Stream struct {
	Index      int    // in the file, all kinds of streams counted
	Codec      string // as ffprobe names it: "aac"
	SampleRate int    // in Hz
	Channels   int
	Bitrate    int // in bit/s; zero where unknown
}

// Tags are what is carried over to the MP3; each may be empty, and has at
// most 500 characters of valid UTF-8.
type Tags struct {
	Title, Artist, Album string
	Date                 string // mostly a year or YYYY-MM-DD
}

// Options are the wishes for a conversion.
type Options struct {
	Bitrate int // in bit/s; zero means 192000. Lowered to what MP3 has at the sample rate
}

// MP3 is what a conversion has made.
type MP3 struct {
	Duration   time.Duration // exact, without the encoder's delay and padding
	SampleRate int           // in Hz
	Channels   int           // 1 or 2
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
