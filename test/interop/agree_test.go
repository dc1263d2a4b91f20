package interop_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	amqp "github.com/rabbitmq/amqp091-go"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/sqlqueue"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/test/interop"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// brokers are what the same manifests are given to. Each runs them until the
// test ends and returns the address of its ingress.
var brokers = map[string]func(t *testing.T, manifests fs.FS, resolve func(service string) string) (ingress string){
	"local": local, "knative": onKnative,
}

// bothBrokers runs a test on the local broker and on Knative's.
func bothBrokers(t *testing.T, manifests fs.FS, test func(t *testing.T, broker, ingress string, c *calls)) {
	t.Helper()
	for name, run := range brokers {
		t.Run(name, func(t *testing.T) {
			c := &calls{count: map[string]int{}}
			s := httptest.NewServer(c)
			t.Cleanup(s.Close)
			test(t, name, run(t, manifests, func(service string) string { return s.URL + "/" + service }), c)
		})
	}
}

func local(t *testing.T, manifests fs.FS, resolve func(string) string) string {
	t.Helper()
	q, err := sqlqueue.Open(t.Context(), filepath.Join(t.TempDir(), "queue.db"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.New(broker.Options{
		Queue: q, Manifests: manifests, Log: slog.New(slog.DiscardHandler),
		Resolve: func(ref duckv1.KReference) (string, error) { return resolve(ref.Name), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ingress := httptest.NewServer(b.Ingress())
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		ingress.Close()
		stop()
		running.Wait()
		_ = q.Close()
	})
	return ingress.URL
}

func onKnative(t *testing.T, manifests fs.FS, resolve func(string) string) string {
	t.Helper()
	triggers, err := broker.Load(manifests)
	if err != nil {
		t.Fatal(err)
	}
	return runKnative(t, triggers, resolve)
}

// runKnative runs Knative's ingress and dispatchers until the test ends.
func runKnative(t *testing.T, triggers []broker.Trigger, resolve func(string) string) (ingress string) {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	p := interop.Plane{
		Topology: interop.NewTopology(unique(), triggers), Programs: built, Rabbit: rabbitServer(t), Port: port(t), Resolve: resolve,
	}
	if err := p.Do(func(ch *amqp.Channel) error { return p.Declare(ch) }); err != nil {
		t.Fatal(err)
	}
	for _, program := range p.All() {
		servers.StartProgram(t, program)
	}
	return p.IngressURL()
}

// calls is every subscriber and dead letter sink at once. It counts the
// deliveries of each event at each service, and answers an event whose subject
// is a status with it, but at the service "dead".
type calls struct {
	mu    sync.Mutex
	count map[string]int // by service and id of the event
}

func (c *calls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service := strings.Trim(r.URL.Path, "/")
	c.mu.Lock()
	c.count[service+" "+r.Header.Get("Ce-Id")]++
	c.mu.Unlock()
	status, err := strconv.Atoi(r.Header.Get("Ce-Subject"))
	if err != nil || service == "dead" {
		status = http.StatusNoContent
	}
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

func (c *calls) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.count)
}

// manifestsOf is a Broker and Triggers, each with what its spec has besides the
// Broker.
func manifestsOf(triggers map[string]string) fs.FS {
	text := "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: default}\nspec: {}\n"
	for name, spec := range triggers {
		text += fmt.Sprintf("---\napiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {name: %s}\nspec: {broker: default, %s}\n", name, spec)
	}
	return fstest.MapFS{"all.yaml": {Data: []byte(text)}}
}

func sampleEvent(id, subject string) cloudevents.Event {
	e := cloudevents.New()
	e.SetID(id)
	e.SetType("dev.test.event")
	e.SetSource("/test")
	e.SetSubject(subject)
	e.SetTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	_ = e.SetData(cloudevents.ApplicationJSON, map[string]int{"n": 1})
	return e
}

// TestBothBrokersJudgeAnAnswerAlike holds which answers are tried again and
// then become dead letters, with one retry.
func TestBothBrokersJudgeAnAnswerAlike(t *testing.T) {
	once := []int{200, 202, 204, 304, 400, 401, 403, 405, 410, 413, 415, 422}
	again := []int{0, 404, 408, 409, 429, 500, 501, 502, 503, 504} // 0: no answer
	manifests := manifestsOf(map[string]string{"answers": `subscriber: {ref: {kind: Service, name: answers}},
  delivery: {retry: 1, backoffPolicy: linear, backoffDelay: PT0.05S, timeout: PT5S, deadLetterSink: {ref: {kind: Service, name: dead}}}`})
	bothBrokers(t, manifests, func(t *testing.T, _, ingress string, c *calls) {
		want := map[string]int{"answers end": 1}
		send := func(id, status string) {
			if err := event.NewSender(ingress).Send(t.Context(), sampleEvent(id, status)); err != nil {
				t.Fatal(err)
			}
		}
		for _, status := range once {
			want[fmt.Sprint("answers ", status)] = 1
			send(strconv.Itoa(status), strconv.Itoa(status))
		}
		for _, status := range again {
			want[fmt.Sprint("answers ", status)], want[fmt.Sprint("dead ", status)] = 2, 1
			send(strconv.Itoa(status), strconv.Itoa(status))
		}
		send("end", "204")
		await(t, c, want)
	})
}

// await waits until the calls are as wanted, or names what is not.
func await(t *testing.T, c *calls, want map[string]int) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !maps.Equal(c.all(), want) {
		select {
		case <-tick.C:
		case <-deadline:
			got := c.all()
			for what := range union(got, want) {
				if got[what] != want[what] {
					t.Errorf("%s: %d calls, want %d", what, got[what], want[what])
				}
			}
			return
		}
	}
}

func union(a, b map[string]int) map[string]int {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// TestBothIngressesAnswerAlike holds what is taken and what is refused.
func TestBothIngressesAnswerAlike(t *testing.T) {
	binary := http.Header{"Ce-Id": {"1"}, "Ce-Type": {"dev.test.event"}, "Ce-Source": {"/test"}, "Ce-Specversion": {"1.0"}, "Content-Type": {"application/json"}}
	without := func(name string) http.Header {
		h := binary.Clone()
		h.Del(name)
		return h
	}
	structured := http.Header{"Content-Type": {"application/cloudevents+json"}}
	tests := map[string]struct {
		method string
		header http.Header
		body   string
		status int
	}{
		"binary":          {"POST", binary, `{}`, 202},
		"structured":      {"POST", structured, `{"specversion":"1.0","id":"1","type":"a","source":"/a"}`, 202},
		"get":             {"GET", binary, "", 405},
		"no event":        {"POST", http.Header{"Content-Type": {"text/plain"}}, "hello", 400},
		"no id":           {"POST", without("Ce-Id"), `{}`, 400},
		"no type":         {"POST", without("Ce-Type"), `{}`, 400},
		"no source":       {"POST", without("Ce-Source"), `{}`, 400},
		"no version":      {"POST", without("Ce-Specversion"), `{}`, 400},
		"broken JSON":     {"POST", structured, `{"specversion":`, 400},
		"structured bare": {"POST", structured, `{"specversion":"1.0","id":"1"}`, 400},
		"a batch":         {"POST", http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, `[]`, 400},
	}
	manifests := manifestsOf(map[string]string{"all": "subscriber: {ref: {kind: Service, name: all}}, delivery: {retry: 1}"})
	bothBrokers(t, manifests, func(t *testing.T, _, ingress string, _ *calls) {
		for name, tt := range tests {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, ingress, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = tt.header.Clone()
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("%s: %d, want %d", name, resp.StatusCode, tt.status)
			}
		}
	})
}
