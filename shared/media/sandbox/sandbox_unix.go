//go:build unix && !linux

package sandbox

import (
	"context"
	"os"
	"os/exec"
)

// Supported is nothing: on this system a program gets no environment and no
// descriptors but its own, and that is all.
func Supported() Protection { return Protection{} }

// Command is exec.CommandContext for a program with no environment and with
// files as descriptors 3 and up.
func Command(ctx context.Context, path string, args []string, files []*os.File, _ Limits) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{} // not nil: that would hand on ours, secrets and all
	cmd.ExtraFiles = files
	return cmd
}
