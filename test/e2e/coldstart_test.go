//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// coldStarts is how often each function is started from zero; more often, up to
// mostColdStarts, while a median is above the target, as single times vary by
// half.
const (
	coldStarts     = 5
	mostColdStarts = 11
)

// coldStartTarget is how much longer than the smallest service there is a
// function may take from a request to the first byte of its answer.
const coldStartTarget = 1.25

// TestAColdStartTakesLittleMoreThanThatOfTheSmallestService measures from zero
// pods to the first byte of an answer, next to a service in the same namespace
// that answers and does nothing else (HELLO_IMAGE).
func TestAColdStartTakesLittleMoreThanThatOfTheSmallestService(t *testing.T) {
	hello(t, os.Getenv("HELLO_IMAGE"))
	// The sweep may wake reconcile before it is measured.
	the.sweep(t, "0 0 1 1 *")

	all := append(functions(), "hello")
	took := map[string][]time.Duration{}
	ratio := func(f string) float64 { return float64(median(took[f])) / float64(median(took["hello"])) }
	above := func(f string) bool { return ratio(f) > coldStartTarget }
	bounded := []string{"login", "jobs", "download"}
	for n := 0; n < coldStarts || n < mostColdStarts && slices.ContainsFunc(bounded, above); n++ {
		the.awaitZero(t)
		eventually(t, "hello is at zero pods", zeroWithin, func() bool { return the.pods(t, "hello") == 0 })
		// Another one is first each time, and last.
		for _, f := range slices.Concat(all[n%len(all):], all[:n%len(all)]) {
			took[f] = append(took[f], firstByte(t, the.url(t, f), the.address(t, f)))
		}
	}
	for _, f := range all {
		t.Logf("%-10s median %v of %v, × %.2f of hello", f, median(took[f]).Round(time.Millisecond), rounded(took[f]), ratio(f))
		if slices.Contains(bounded, f) && above(f) {
			t.Errorf("%s takes × %.2f of hello, want %v at most", f, ratio(f), coldStartTarget)
		}
	}
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func rounded(all []time.Duration) []string {
	var texts []string
	for _, d := range all {
		texts = append(texts, d.Round(10*time.Millisecond).String())
	}
	return texts
}

func hello(t *testing.T, image string) {
	t.Helper()
	apply(t, fmt.Sprintf(`apiVersion: serving.knative.dev/v1
kind: Service
metadata: {namespace: %s, name: hello}
spec:
  template:
    spec:
      containers:
        - image: %s
          securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 65532, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
`, the.namespace, image))
	t.Cleanup(func() {
		_ = exec.Command("kubectl", "-n", the.namespace, "delete", "ksvc", "hello", "--wait=false").Run()
	})
	kubectl(t, "-n", the.namespace, "wait", "--for=condition=Ready", "ksvc/hello", "--timeout=60s")
}

// address is where requests for a function are taken: the ingress of the
// cluster, or that for the inside, which its Kubernetes Service leads to.
func (w *world) address(t *testing.T, function string) string {
	t.Helper()
	if !strings.HasSuffix(w.url(t, function), ".svc.cluster.local") {
		return os.Getenv("INGRESS")
	}
	name := kubectl(t, "-n", w.namespace, "get", "service", function, "-o", "jsonpath={.spec.externalName}")
	parts := strings.SplitN(name, ".", 3)
	return kubectl(t, "-n", parts[1], "get", "service", parts[0], "-o", "jsonpath={.spec.clusterIP}") + ":80"
}

func TestWhatTheBrokerCallsIsNotToBeReachedFromOutside(t *testing.T) {
	for _, f := range []string{"convert", "notify", "reconcile"} {
		status, body, err := answer((&person{}).request(t, http.MethodGet, the.url(t, f)+"/healthz", nil))
		if err != nil || status != http.StatusNotFound {
			t.Errorf("from outside %s answers %d %s (%v), want 404", f, status, body, err)
		}
	}
}

// firstByte is how long a request to an address waits for its answer.
func firstByte(t *testing.T, url, address string) time.Duration {
	t.Helper()
	req := (&person{}).request(t, http.MethodGet, url+"/healthz", nil)
	client := &http.Client{Transport: dialing(address)}
	begin := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, want 200", url, resp.StatusCode)
	}
	return took
}
