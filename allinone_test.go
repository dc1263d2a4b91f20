package alchemist

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func load(t *testing.T, env map[string]string) config.Config {
	t.Helper()
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryFunctionHasItsBuilder(t *testing.T) {
	for _, name := range config.Functions() {
		if builders[name] == nil {
			t.Errorf("%s has none", name)
		}
	}
	if len(builders) != len(config.Functions()) {
		t.Errorf("%d builders, %d functions", len(builders), len(config.Functions()))
	}
}

func TestEventsGoToEventFunctionsOnly(t *testing.T) {
	s := &System{base: "http://127.0.0.1:1/secret/"}
	for ref, want := range map[duckv1.KReference]string{
		{Kind: "Service", Name: "convert"}:   s.base + "convert/",
		{Kind: "Service", Name: "notify"}:    s.base + "notify/",
		{Kind: "Service", Name: "reconcile"}: s.base + "reconcile/",
		{Kind: "Service", Name: "login"}:     "",
		{Kind: "Service", Name: "broker"}:    "",
		{Kind: "Service", Name: ""}:          "",
		{Kind: "Broker", Name: "convert"}:    "",
	} {
		got, err := s.resolve(ref)
		if got != want || (want == "") != fail.Is(err, fail.Invalid) {
			t.Errorf("%s %s: %q, %v", ref.Kind, ref.Name, got, err)
		}
	}
}

// TestABrokenSystemSaysSoAndEnds takes the loopback away from a running
// system.
func TestABrokenSystemSaysSoAndEnds(t *testing.T) {
	c := load(t, map[string]string{"DATA_DIR": t.TempDir(), "ADMIN_PASSWORD": "correct horse battery", "DRAIN_TIMEOUT": "1s"})
	s, err := Open(t.Context(), c, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("at first: %v", err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.serve(context.Background(), l) }()
	_ = s.loop.Close()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "loopback ended") {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on without a loopback")
	}
	if err := s.Ready(t.Context()); !fail.Is(err, fail.Unavailable) || !strings.Contains(fail.Detail(err), "loopback") {
		t.Errorf("Ready: %v", err)
	}
}

func TestStopBreaksNothing(t *testing.T) {
	c := load(t, map[string]string{"DATA_DIR": t.TempDir(), "ADMIN_PASSWORD": "correct horse battery", "DRAIN_TIMEOUT": "1s"})
	s, err := Open(t.Context(), c, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := context.Cause(s.broken); err != nil {
		t.Errorf("a part took the end for a defect: %v", err)
	}
}
