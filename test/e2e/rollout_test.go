//go:build e2e

package e2e_test

import (
	"os/exec"
	"testing"
	"time"
)

func TestARolloutAndARollbackUnderLoadFailNoRequest(t *testing.T) {
	p, film := the.admin(t), video(t, 1)
	t.Cleanup(func() {
		for _, f := range []string{"upload", "convert"} {
			_ = exec.Command("kn", "service", "update", f, "-n", the.namespace, "--env", "ROLLOUT-", "--traffic", "@latest=100", "--wait-timeout", "120").Run()
		}
		_ = exec.Command("kn", "service", "update", "convert", "-n", the.namespace, "--scale-max", "4", "--wait-timeout", "120").Run()
	})
	// Pods of two revisions have to find room on a node of two CPUs.
	eventually(t, "convert is at zero pods", zeroWithin, func() bool { return the.pods(t, "convert") == 0 })
	the.kn(t, "service", "update", "convert", "--scale-max", "1", "--wait-timeout", "120")
	// Its conversion is under way while the pod that does it is to end.
	long := p.upload(t, video(t, 2400), "bitrate", "32k")
	l := the.load(t, p, film, 1)
	l.until(t, 2)
	for _, f := range []string{"upload", "convert"} {
		old := kubectl(t, "-n", the.namespace, "get", "ksvc", f, "-o", "jsonpath={.status.latestReadyRevisionName}")
		the.kn(t, "service", "update", f, "--env", "ROLLOUT="+unique(), "--wait-timeout", "120")
		l.until(t, l.count()+3)
		the.kn(t, "service", "update", f, "--traffic", old+"=100", "--wait-timeout", "120")
		l.until(t, l.count()+3)
	}
	taken, refused := l.stop()
	if refused > 0 {
		t.Errorf("%d uploads were refused, want none", refused)
	}
	for _, id := range taken {
		p.done(t, id, 10*time.Minute)
	}
	p.done(t, long.ID, 10*time.Minute)
	t.Logf("%d uploads were taken and converted", len(taken))
}

// sweep has reconcile woken by another schedule for the time of a test.
func (w *world) sweep(t *testing.T, schedule string) {
	t.Helper()
	usual := kubectl(t, "-n", w.namespace, "get", "pingsource", "reconcile", "-o", "jsonpath={.spec.schedule}")
	w.kn(t, "source", "ping", "update", "reconcile", "--schedule", schedule)
	t.Cleanup(func() {
		_ = exec.Command("kn", "source", "ping", "update", "reconcile", "--schedule", usual, "-n", w.namespace).Run()
	})
}

// kn runs kn in the namespace of the functions.
func (w *world) kn(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, "kn", append(args, "-n", w.namespace)...)
}
