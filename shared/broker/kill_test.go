package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/sqlqueue"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// The variables that make the test program a broker to be killed.
const (
	childQueue       = "BROKER_TEST_QUEUE"       // path of its queue
	childSubscribers = "BROKER_TEST_SUBSCRIBERS" // base URL of its subscribers
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childQueue); path != "" {
		if err := child(path, os.Getenv(childSubscribers)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(servers.Run(m))
}

func chain() [][4]string {
	return [][4]string{{"a", "dev.test.a", "a", quick}, {"b", "dev.test.b", "b", quick}}
}

// child runs a broker and prints the URL of its ingress, until it is killed
// or its parent is gone.
func child(path, subscribers string) error {
	q, err := sqlqueue.Open(context.Background(), path)
	if err != nil {
		return err
	}
	b, err := broker.New(broker.Options{
		Queue: q, Manifests: manifest(chain()...), Log: slog.New(slog.DiscardHandler),
		Resolve:     func(ref duckv1.KReference) (string, error) { return subscribers + "/" + ref.Name, nil },
		Parallelism: map[string]int{"a": 4, "b": 4},
	})
	if err != nil {
		return err
	}
	server := httptest.NewServer(b.Ingress())
	fmt.Println(server.URL)
	ctx, cancel := contextUntilEOF(os.Stdin)
	defer cancel()
	return b.Run(ctx)
}

// crowd is the two subscribers, who live on while the broker dies. The first
// one answers each event with one for the second.
type crowd struct {
	t    *testing.T
	mu   sync.Mutex
	seen map[string]map[string]int // service → event → deliveries
	came chan struct{}             // gets a value after a delivery, or after several
}

func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, name := read(c.t, r), strings.TrimPrefix(r.URL.Path, "/")
	c.mu.Lock()
	c.seen[name][e.ID()]++
	n := c.seen[name][e.ID()]
	c.mu.Unlock()
	select {
	case c.came <- struct{}{}:
	default:
	}
	switch {
	case name == "dead":
		c.t.Errorf("event %s is dead", e.ID())
	case n == 1 && rand.IntN(5) == 0:
		w.WriteHeader(http.StatusServiceUnavailable)
	case name == "a":
		reply := sample(e.ID())
		reply.SetType("dev.test.b")
		answer(c.t, w, reply)
	}
}

// missing counts the events that have not yet come to both.
func (c *crowd) missing(ids []string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if c.seen["a"][id] == 0 || c.seen["b"][id] == 0 {
			n++
		}
	}
	return n
}

func TestKilledBrokerLosesNothing(t *testing.T) {
	const kills, senders = 8, 4
	c := &crowd{t: t, seen: map[string]map[string]int{"a": {}, "b": {}, "dead": {}}, came: make(chan struct{}, 1)}
	subscribers := httptest.NewServer(c)
	defer subscribers.Close()
	path := t.TempDir() + "/queue.db"

	var accepted []string
	for round := range kills {
		ingress, kill := startChild(t, path, subscribers.URL)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				// Until it is killed.
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d-%d-%d", round, s, i)
					if post(ingress, sample(id)) != nil {
						return
					}
					mu.Lock()
					accepted = append(accepted, id)
					mu.Unlock()
				}
			})
		}
		time.AfterFunc(time.Duration(rand.IntN(150))*time.Millisecond, kill)
		wg.Wait()
	}
	if len(accepted) == 0 {
		t.Fatal("no event was accepted")
	}
	_, kill := startChild(t, path, subscribers.URL)
	defer kill()
	for deadline := time.After(2 * time.Minute); c.missing(accepted) > 0; {
		select {
		case <-c.came:
		case <-deadline:
			t.Fatalf("%d of %d accepted events did not come", c.missing(accepted), len(accepted))
		}
	}
	t.Logf("%d events accepted over %d kills, all of them delivered", len(accepted), kills)
}

// startChild starts the broker as a process of its own. kill ends it by
// SIGKILL and waits; the end of the test does so at the latest.
func startChild(t *testing.T, path, subscribers string) (ingress string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childQueue+"="+path, childSubscribers+"="+subscribers)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		_ = in.Close()
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the broker did not start:", err)
	}
	return strings.TrimSpace(line), kill
}
