package media

import (
	"context"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/media/sandbox"
)

// checkWithin bounds Check, where a disk is cold.
const checkWithin = 30 * time.Second

// Check starts both programs as conversions will, and returns what confines
// them; it is for the start of a server. With required, protection that is not
// whole is an error: its text names MEDIA_SANDBOX and what to do. So is a
// program that does not start, wanted or not. Errors are fail.Unavailable.
func (t Tools) Check(ctx context.Context, required bool) (sandbox.Protection, error) {
	return t.check(ctx, required, sandbox.Supported())
}

func (t Tools) check(ctx context.Context, required bool, has sandbox.Protection) (sandbox.Protection, error) {
	if required && !has.Whole() {
		return has, fail.New(fail.Unavailable, "The sandbox is required, but this system does not confine ffmpeg: %s. "+
			"It takes Linux 5.13 or newer with landlock in lsm=, and a container whose profile allows landlock_create_ruleset; "+
			"MEDIA_SANDBOX=auto starts with what there is.", has)
	}
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	for _, path := range []string{t.FFmpeg, t.FFprobe} {
		var log messages
		if err := t.run(ctx, path, []string{"-hide_banner", "-version"}, nil, nil, &log); err != nil {
			err = &ProgramError{Program: path, Messages: log.String(), Err: err}
			return has, fail.Wrap(fail.Unavailable, err, "start a program in the sandbox")
		}
	}
	return has, nil
}
