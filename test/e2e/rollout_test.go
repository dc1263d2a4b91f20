//go:build e2e

package e2e_test

import (
	"testing"
	"time"
)

func TestARolloutAndARollbackUnderLoadFailNoRequest(t *testing.T) {
	p, film := the.admin(t), video(t, 1)
	l := the.load(t, p, film)
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
	t.Logf("%d uploads were taken and converted", len(taken))
	for _, f := range []string{"upload", "convert"} {
		the.kn(t, "service", "update", f, "--env", "ROLLOUT-", "--traffic", "@latest=100", "--wait-timeout", "120")
	}
}

// kn runs kn in the namespace of the functions.
func (w *world) kn(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, "kn", append(args, "-n", w.namespace)...)
}

