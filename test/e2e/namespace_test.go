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
	t.Parallel() // what the other test of convert does is not its concern
	other := &world{namespace: the.namespace + "-b", mysql: the.mysql, mongo: the.mongo, rabbit: the.rabbit, mail: the.mail}
	queues := the.queues(t)
	stores := other.stores(t)
	if _, err := other.deploy(other.namespace, stores...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = undeploy(other.namespace) })
	unchanged(t)
	p := other.admin(t)
	revisions := other.revisions(t)
	kubectl(t, "-n", other.namespace, "delete", "secret", "admin") // as undeploy does
	said, err := other.deploy(other.namespace, stores...)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "as it was: the account was there before") {
		t.Errorf("of the password of an administrator who was there it says\n%s", said)
	}
	if now := other.revisions(t); now != revisions {
		t.Errorf("deployed once more it has the revisions\n%s\nwas\n%s", now, revisions)
	}
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
	unchanged(t)
	if now := the.queues(t); now != queues {
		t.Errorf("it left queues on RabbitMQ:\n%s\nwas\n%s", now, queues)
	}
	_ = os.RemoveAll(filepath.Join(root(), "bin/deploy", other.namespace))
}

// Knative lets nobody change what a Broker is on.
func TestADeploymentStaysOnTheRabbitMQThatItHas(t *testing.T) {
	namespace := the.namespace + "-c"
	for _, n := range []string{namespace, namespace + "-events"} {
		kubectl(t, "create", "namespace", n)
		t.Cleanup(func() { _ = exec.Command("kubectl", "delete", "namespace", n).Run() })
		kubectl(t, "label", "namespace", n, "app.kubernetes.io/part-of=audio-alchemist")
	}
	apply(t, `
apiVersion: eventing.knative.dev/v1alpha1
kind: RabbitmqBrokerConfig
metadata: {name: default, namespace: `+namespace+`-events}
spec:
  rabbitmqClusterReference: {name: rabbitmq, namespace: `+namespace+`-events}
  queueType: quorum
`)
	_, err := the.deploy(namespace)
	if err == nil || !strings.Contains(err.Error(), "RABBITMQ_URL: the Broker of "+namespace+"-events is on the RabbitMQ that the operator made") {
		t.Errorf("it is deployed on another RabbitMQ: %v", err)
	}
	if secrets := kubectl(t, "-n", namespace+"-events", "get", "secret", "-o", "name"); secrets != "" {
		t.Errorf("it has left %s", secrets)
	}
}

// revisions names the revisions of all functions.
func (w *world) revisions(t *testing.T) string {
	t.Helper()
	return kubectl(t, "-n", w.namespace, "get", "revision", "-o", "name")
}

// stores are databases of its own on the servers of the other world.
func (w *world) stores(t *testing.T) []string {
	t.Helper()
	return []string{"LEDGER_URL=" + servers.DatabaseOn(t, w.mysql), "BLOBS_URL=" + strings.TrimSuffix(w.mongo.URL(), "/alchemist") + "/second"}
}

// unchanged compares the cluster with how it was before anything was deployed.
func unchanged(t *testing.T) {
	t.Helper()
	now, err := clusterWide()
	if err != nil {
		t.Fatal(err)
	}
	if more := without(now, the.before); len(more) > 0 {
		t.Errorf("beside the namespaces of a deployment the cluster has more: %s", more)
	}
	if fewer := without(the.before, now); len(fewer) > 0 {
		t.Errorf("beside the namespaces of a deployment the cluster has lost: %s", fewer)
	}
}

// without are the lines of one text that another has not.
func without(one, other string) (lines []string) {
	known := strings.Split(other, "\n")
	for line := range strings.SplitSeq(one, "\n") {
		if !slices.Contains(known, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// clusterWide names everything of the cluster that is in no namespace, but for
// namespaces, nodes and the addresses of services, and what Knative's own have
// that a deployment might add.
func clusterWide() (string, error) {
	var all []string
	list := func(args ...string) error {
		out, err := exec.Command("kubectl", args...).Output()
		all = append(all, string(out))
		return err
	}
	kinds, err := exec.Command("kubectl", "api-resources", "--namespaced=false", "--verbs=list", "-o", "name").Output()
	if err != nil {
		return "", err
	}
	for _, kind := range strings.Fields(string(kinds)) {
		switch kind {
		case "componentstatuses", "namespaces", "nodes", "certificatesigningrequests.certificates.k8s.io", "ipaddresses.networking.k8s.io":
			continue
		}
		if err := list("get", kind, "-o", "name"); err != nil {
			return "", err
		}
	}
	for _, n := range []string{"knative-serving", "knative-eventing"} {
		if err := list("-n", n, "get", "configmap,secret,service,deployment", "-o", "name"); err != nil {
			return "", err
		}
	}
	return strings.Join(all, ""), nil
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
