package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/rabbit"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/sqlqueue"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// patience bounds every wait for something that should happen; quiet is how
// long nothing must happen before a test believes that nothing will.
const (
	patience = 10 * time.Second
	quiet    = 150 * time.Millisecond
)

var sprintf = fmt.Sprintf

func sample(id string) cloudevents.Event {
	e := cloudevents.New()
	e.SetID(id)
	e.SetType("dev.test.a")
	e.SetSource("/test")
	e.SetSubject("job-1")
	e.SetTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	_ = e.SetData(cloudevents.ApplicationJSON, map[string]int{"n": 1})
	return e
}

// delivery of the trigger that tests use: three quick retries.
const quick = `{retry: 3, backoffPolicy: linear, backoffDelay: PT0.01S, timeout: PT5S, deadLetterSink: {ref: {kind: Service, name: dead}}}`

// manifest makes a Broker and one Trigger for each "name type service
// delivery".
func manifest(triggers ...[4]string) fstest.MapFS {
	var b strings.Builder
	b.WriteString("apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: default}\nspec: {}\n")
	for _, t := range triggers {
		fmt.Fprintf(&b, "---\napiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {name: %s}\nspec:\n  broker: default\n"+
			"  filter: {attributes: {type: %s}}\n  subscriber: {ref: {kind: Service, name: %s}}\n", t[0], t[1], t[2])
		if t[3] != "" {
			fmt.Fprintf(&b, "  delivery: %s\n", t[3])
		}
	}
	return fstest.MapFS{"all.yaml": {Data: []byte(b.String())}}
}

// world is a running broker with its queue and its subscribers.
type world struct {
	t        testing.TB
	open     func() (broker.Queue, error) // the same one each time
	services map[string]string            // name → URL
	options  func(broker.Queue) broker.Options
	ingress  string
	stop     func()
}

// starter runs a broker. services are the subscribers by name.
type starter func(tb testing.TB, manifests fstest.MapFS, services map[string]http.HandlerFunc, set ...func(*broker.Options)) *world

// start is a starter over the embedded queue.
func start(tb testing.TB, manifests fstest.MapFS, services map[string]http.HandlerFunc, set ...func(*broker.Options)) *world {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "queue.db")
	return over(tb, func() (broker.Queue, error) { return sqlqueue.Open(context.Background(), path) }, manifests, services, set)
}

// startRabbit is a starter over RabbitMQ.
func startRabbit(tb testing.TB, manifests fstest.MapFS, services map[string]http.HandlerFunc, set ...func(*broker.Options)) *world {
	tb.Helper()
	address := servers.Rabbit(tb)
	return over(tb, func() (broker.Queue, error) { return rabbit.Open(address, rabbit.Options{}) }, manifests, services, set)
}

// each runs a test over each implementation of Queue.
func each(t *testing.T, test func(t *testing.T, start starter)) {
	t.Run("embedded", func(t *testing.T) { test(t, start) })
	t.Run("RabbitMQ", func(t *testing.T) { test(t, startRabbit) })
}

func over(tb testing.TB, open func() (broker.Queue, error), manifests fstest.MapFS, services map[string]http.HandlerFunc, set []func(*broker.Options)) *world {
	tb.Helper()
	w := &world{t: tb, open: open, services: map[string]string{}}
	for name, h := range services {
		s := httptest.NewServer(h)
		tb.Cleanup(s.Close)
		w.services[name] = s.URL
	}
	var log lines
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log(log.String())
		}
	})
	w.options = func(q broker.Queue) broker.Options {
		o := broker.Options{Queue: q, Manifests: manifests, Resolve: w.resolve, Log: slog.New(slog.NewTextHandler(&log, nil))}
		for _, f := range set {
			f(&o)
		}
		return o
	}
	w.run()
	tb.Cleanup(func() { w.stop() })
	return w
}

func (w *world) resolve(ref duckv1.KReference) (string, error) {
	if u, ok := w.services[ref.Name]; ok {
		return u, nil
	}
	return "", fmt.Errorf("unknown service")
}

// run opens the queue and starts the broker; w.stop ends both.
func (w *world) run() {
	w.t.Helper()
	q, err := w.open()
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := broker.New(w.options(q))
	if err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewServer(b.Ingress())
	w.ingress = server.URL
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				w.t.Error("run:", err)
			}
		case <-time.After(patience):
			w.t.Error("the broker did not stop")
		}
		server.Close()
		if err := q.Close(); err != nil {
			w.t.Error(err)
		}
	})
}

// send posts an event to the ingress and wants it accepted.
func (w *world) send(e cloudevents.Event) {
	w.t.Helper()
	if err := post(w.ingress, e); err != nil {
		w.t.Fatal(err)
	}
}

func post(url string, e cloudevents.Event) error {
	req, err := http.NewRequest(http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	if err := cehttp.WriteRequest(context.Background(), binding.ToMessage(&e), req); err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the ingress answered %d", resp.StatusCode)
	}
	return nil
}

// read returns the event of a request to a subscriber.
func read(t *testing.T, r *http.Request) cloudevents.Event {
	t.Helper()
	e, err := cehttp.NewEventFromHTTPRequest(r)
	if err != nil {
		t.Error("a subscriber got no event:", err)
		return cloudevents.New()
	}
	return *e
}

// answer sends an event as the reply.
func answer(t *testing.T, w http.ResponseWriter, e cloudevents.Event) {
	t.Helper()
	if err := cehttp.WriteResponseWriter(context.Background(), binding.ToMessage(&e), http.StatusOK, w); err != nil {
		t.Error(err)
	}
}

func next[T any](tb testing.TB, c <-chan T) T {
	tb.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		tb.Fatal("nothing came")
		panic("unreachable")
	}
}

func nothing[T any](t *testing.T, c <-chan T) {
	t.Helper()
	select {
	case v := <-c:
		t.Errorf("got %v, want nothing", v)
	case <-time.After(quiet):
	}
}

// lines is a log that tests may read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// contextUntilEOF returns a context that ends with the input.
func contextUntilEOF(in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	return ctx, cancel
}
