package cli

import (
	"context"
	"errors"
	"os"
	"testing"
)

func TestAnInterruptionEndsTheWaitForAPipe(t *testing.T) {
	in, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = in.Close(), other.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := (&app{in: in}).piped(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %q, %v", got, err)
	}
}
