package web

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// away is what the stores say that cannot be used.
func away(stores, why string) error {
	return &fail.Error{Kind: fail.Unavailable, Msg: why, Err: fail.New(fail.Unavailable, "Cannot be used now: %s.", stores)}
}

func TestProbesLogWhatHasChanged(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })

	refused, timeout := away("ledger", "dial ledger: connection refused"), away("ledger", "dial ledger: i/o timeout")
	both := away("ledger, blobs", "no primary")
	var now error
	ready := &readiness{check: func(context.Context) error { return now }}
	for _, step := range []struct {
		probes []error
		want   string // in the one line; empty for none
	}{
		{[]error{nil, nil}, ""},
		{[]error{refused, refused, timeout}, "dial ledger: connection refused"},
		{[]error{both, both}, "no primary"},
		{[]error{refused}, "connection refused"},
		{[]error{nil, nil}, "level=INFO msg=ready"},
		{[]error{errors.New("broken")}, "broken"},
	} {
		log.Reset()
		for _, now = range step.probes {
			want := http.StatusOK
			if now != nil {
				want = http.StatusServiceUnavailable
			}
			if got := call(http.HandlerFunc(ready.probe), "GET", "/readyz").StatusCode; got != want {
				t.Errorf("status %d, want %d", got, want)
			}
		}
		lines := slices.Collect(strings.Lines(log.String()))
		if step.want == "" && len(lines) == 0 {
			continue
		}
		if len(lines) != 1 || step.want == "" || !strings.Contains(lines[0], step.want) {
			t.Errorf("after %v: %q, want one line with %q", step.probes, lines, step.want)
		}
	}
}

// TestAProbeThatHangsUpIsLogged: the kubelet waits for a second, and to find
// out what is wrong may take longer.
func TestAProbeThatHangsUpIsLogged(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })

	ctx, hangUp := context.WithCancel(t.Context())
	ready := &readiness{check: func(ctx context.Context) error {
		hangUp()
		if err := ctx.Err(); err != nil {
			return err
		}
		return away("ledger", "connection refused")
	}}
	ready.probe(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/readyz", nil))
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "connection refused") {
		t.Errorf("logged %q", log.String())
	}
}
