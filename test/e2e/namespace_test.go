//go:build e2e

package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func TestASecondNamespaceStandsByItselfAndGoesWithoutATrace(t *testing.T) {
	other := &world{namespace: the.namespace + "-b", mysql: the.mysql, mongo: the.mongo, rabbit: the.rabbit, mail: the.mail}
	before := clusterWide(t)
	queues := the.queues(t)
	if err := other.deploy(other.namespace, other.stores(t)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = undeploy(other.namespace) })
	if now := clusterWide(t); now != before {
		t.Errorf("the deployment changed what is not in its namespaces:\n%s\nwas\n%s", now, before)
	}
	p := other.admin(t)
	j := p.upload(t, video(t, 1))
	p.done(t, j.ID, 2*time.Minute)
	if status, _, err := answer(the.admin(t).request(t, "GET", "/jobs/"+j.ID, nil)); err != nil || status != 404 {
		t.Errorf("the other system answers %d, %v for the job, want 404", status, err)
	}
	if err := undeploy(other.namespace); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{other.namespace, other.events()} {
		if out, err := exec.Command("kubectl", "get", "namespace", n).CombinedOutput(); err == nil || !strings.Contains(string(out), "NotFound") {
			t.Errorf("namespace %s is still there: %s", n, out)
		}
	}
	if now := clusterWide(t); now != before {
		t.Errorf("it left what is not in its namespaces:\n%s\nwas\n%s", now, before)
	}
	if now := the.queues(t); now != queues {
		t.Errorf("it left queues on RabbitMQ:\n%s\nwas\n%s", now, queues)
	}
	_ = os.RemoveAll(filepath.Join(root(), "bin/deploy", other.namespace))
}

// stores are databases of its own on the servers of the other world.
func (w *world) stores(t *testing.T) []string {
	t.Helper()
	return []string{"LEDGER_URL=" + servers.DatabaseOn(t, w.mysql), "BLOBS_URL=" + strings.TrimSuffix(w.mongo.URL(), "/alchemist") + "/second"}
}

// clusterWide names everything of the cluster that is in no namespace and has
// to do with us, and all that is in Knative's namespaces and not of itself.
func clusterWide(t *testing.T) string {
	t.Helper()
	kinds := kubectl(t, "api-resources", "--namespaced=false", "--verbs=list", "-o", "name")
	var all []string
	for _, kind := range strings.Fields(kinds) {
		switch kind {
		case "componentstatuses", "namespaces", "nodes", "apiservices.apiregistration.k8s.io":
			continue
		}
		all = append(all, kubectl(t, "get", kind, "-o", "name"))
	}
	for _, n := range []string{"knative-serving", "knative-eventing"} {
		all = append(all, kubectl(t, "-n", n, "get", "configmap,secret,service,deployment,ingress.networking.internal.knative.dev", "-o", "name"))
	}
	return strings.Join(all, "\n")
}

// queues names the queues of RabbitMQ, in order.
func (w *world) queues(t *testing.T) string {
	t.Helper()
	resp, err := http.Get(w.rabbit.Management() + "/api/queues?columns=name") // #nosec G107 -- ours
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var all []struct{ Name string }
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, q := range all {
		names = append(names, q.Name)
	}
	slices.Sort(names)
	return strings.Join(names, "\n")
}
