//go:build e2e

// Package e2e_test tries the whole system on the Kubernetes of the current
// context, which has Knative and its RabbitMQ broker: deployed by tools/deploy
// as anybody would, on a database, a Mongo-wire server, a RabbitMQ and a mail
// server that this machine runs and the cluster's pods can reach. make e2e
// gives it what it needs to know:
//
//	SERVERS_HOST    address of this machine that pods reach
//	INGRESS         host:port at which the cluster takes requests from outside
//	KO_DOCKER_REPO  registry that this machine pushes to and the cluster pulls from
//	HELLO_IMAGE     image of a service that answers every request and does nothing else
//	STATIC_BASE, FFMPEG_BASE  base images of that registry
package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/telemetry/collector"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// world is one deployment and the servers that it works on.
type world struct {
	namespace string
	mysql     *servers.Server
	mongo     *servers.Server
	rabbit    *servers.Server
	mail      *servers.Mailbox

	traces *collector.Collector
	once   sync.Map // ids of jobs that must have one mail when all tests have ended
	before string   // what was in the cluster as a whole before it was deployed
}

func (w *world) events() string { return w.namespace + "-events" }

// the is the world that the tests share; each leaves it as it was.
var the *world

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	w, end, err := create()
	defer end()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		if w != nil {
			w.dump()
			_ = w.undeploy()
		}
		return 1
	}
	the = w
	code = m.Run()
	w.once.Range(func(id, _ any) bool {
		if n := w.mailsOf(id.(string)); n != 1 {
			fmt.Fprintf(os.Stderr, "job %s: %d mails in the end, want 1\n", id, n)
			code = 1
		}
		return true
	})
	if code != 0 {
		w.dump()
	}
	if err := w.undeploy(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// create starts the servers and deploys the system; end stops the servers.
func create() (w *world, end func(), err error) {
	dir, err := os.MkdirTemp("", "e2e-*")
	if err != nil {
		return nil, func() {}, err
	}
	w = &world{namespace: "e2e-" + unique()}
	var started []*servers.Server
	end = func() {
		for _, s := range started {
			_ = s.Remove()
		}
		if w.mail != nil {
			w.mail.Close()
		}
		_ = os.RemoveAll(dir)
	}
	for _, s := range []struct {
		at    **servers.Server
		start func(string) (*servers.Server, error)
	}{{&w.mysql, servers.NewMySQL}, {&w.mongo, servers.NewMongo}, {&w.rabbit, servers.NewManagedRabbit}} {
		if *s.at, err = s.start(dir); err != nil {
			return nil, end, err
		}
		started = append(started, *s.at)
	}
	if w.mail, err = servers.OpenMailbox(); err != nil {
		return nil, end, err
	}
	endTraces, err := w.trace(dir)
	if err != nil {
		return nil, end, err
	}
	endServers := end
	end = func() { endServers(); endTraces() }
	if err := plugin(dir); err != nil {
		return nil, end, err
	}
	if w.before, err = clusterWide(); err != nil {
		return nil, end, err
	}
	_, err = w.deploy(w.namespace)
	return w, end, err
}

// trace has the functions send their traces to this process.
func (w *world) trace(dir string) (end func(), err error) {
	l, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("SERVERS_HOST"), "0"))
	if err != nil {
		return nil, err
	}
	w.traces = &collector.Collector{}
	server := &http.Server{Handler: w.traces, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	settings := filepath.Join(dir, "settings.env")
	err = os.WriteFile(settings, fmt.Appendf(nil, "OTEL_EXPORTER_OTLP_ENDPOINT=http://%s\n", l.Addr()), 0o600)
	return func() { _ = server.Close() }, errors.Join(err, os.Setenv("SETTINGS", settings))
}

// plugin builds kn's plugin and the program that makes keys into a folder and
// puts that into PATH.
func plugin(dir string) error {
	cmd := exec.Command("go", "build", "-o", dir, "./cmd/kn-alchemist", "./cmd/alchemist")
	cmd.Dir = root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build programs: %w\n%s", err, out)
	}
	return errors.Join(os.Setenv("PATH", dir+":"+os.Getenv("PATH")), os.Setenv("XDG_CONFIG_HOME", dir))
}

// deploy runs tools/deploy for a namespace on the world's servers.
func (w *world) deploy(namespace string, env ...string) (said string, err error) {
	begin := time.Now()
	cmd := exec.Command("tools/deploy")
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "NAMESPACE="+namespace, "LEDGER_URL="+w.mysql.URL(), "BLOBS_URL="+w.mongo.URL(),
		"MAIL_URL="+w.mail.URL(), "RABBITMQ_URL="+w.rabbit.Management(), "RABBITMQ_PORT="+port(w.rabbit.URL()))
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tools/deploy: %w\n%s", err, out)
	}
	fmt.Printf("deployed %s in %v\n", namespace, time.Since(begin).Round(time.Second))
	return string(out), nil
}

func (w *world) undeploy() error { return undeploy(w.namespace) }

func undeploy(namespace string) error {
	begin := time.Now()
	cmd := exec.Command("tools/undeploy")
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "NAMESPACE="+namespace)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tools/undeploy: %w\n%s", err, out)
	}
	fmt.Printf("undeployed %s in %v\n", namespace, time.Since(begin).Round(time.Second))
	return nil
}

// dump shows what the cluster says of the world, for whoever looks into a
// failure.
func (w *world) dump() {
	for _, args := range [][]string{
		{"-n", w.namespace, "get", "ksvc,revision,pod,pingsource,job", "-o", "wide"},
		{"-n", w.events(), "get", "broker,trigger,pod", "-o", "wide"},
		{"-n", w.namespace, "get", "events", "--sort-by=.lastTimestamp"},
	} {
		out, _ := exec.Command("kubectl", args...).CombinedOutput()
		fmt.Printf("kubectl %s\n%s\n", strings.Join(args, " "), out)
	}
}

// kubectl returns what a command of kubectl prints.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, "kubectl", args...)
}

// apply makes what a manifest says.
func apply(t *testing.T, manifest string) {
	t.Helper()
	cmd := exec.Command("kubectl", "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, out)
	}
}

func command(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, within time.Duration, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		<-tick.C
	}
}

// pods counts the pods of a function that are there, those that end included.
func (w *world) pods(t *testing.T, function string) int {
	t.Helper()
	return len(strings.Fields(kubectl(t, "-n", w.namespace, "get", "pod", "-l", "serving.knative.dev/service="+function, "-o", "name")))
}

// functions are all of them.
func functions() []string {
	return []string{"gateway", "login", "upload", "convert", "notify", "download", "jobs", "reconcile"}
}

// root is the folder of the module.
func root() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return filepath.Dir(filepath.Dir(dir))
}

func port(url string) string {
	rest := url[strings.LastIndex(url, ":")+1:]
	return strings.TrimRight(rest, "/")
}

func unique() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
