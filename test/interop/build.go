package interop

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build builds Knative's programs, ingress and dispatcher, into a folder. It
// takes minutes where nothing of Knative was built before.
func Build(ctx context.Context, dir string) error {
	return build(ctx, dir, "test/knative", "-ldflags=-s -w",
		"knative.dev/eventing-rabbitmq/cmd/ingress", "knative.dev/eventing-rabbitmq/cmd/dispatcher")
}

// BuildFunctions builds the programs of the functions, each by its name, into
// a folder, with the race detector.
func BuildFunctions(ctx context.Context, dir string, names ...string) error {
	args := []string{"-race"}
	for _, name := range names {
		args = append(args, "./cmd/"+name)
	}
	return build(ctx, dir, ".", args...)
}

// build runs go build in a folder of the repository.
func build(ctx context.Context, dir, in string, args ...string) error {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-o", dir + "/"}, args...)...)
	cmd.Dir = filepath.Join(filepath.Dir(string(bytes.TrimSpace(mod))), in)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build in %s: %w\n%s", in, err, out)
	}
	return nil
}
