package interop_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/config/knative/events"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/test/interop"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// world is the whole system as a cluster runs it, each program a process of
// its own: the functions, and between them Knative's ingress and dispatchers
// over a real RabbitMQ.
type world struct {
	plane    interop.Plane
	env      []string                   // of every function
	ports    map[string]int             // of the functions
	programs map[string]servers.Program // all there are, by name
	running  map[string]*servers.Server // those that were started
	mails    *servers.Mailbox
	ledger   *ledger.Ledger
	blobs    blob.Store
}

// functions are the programs of cmd that a cluster runs.
var functions = []string{"login", "upload", "convert", "notify", "download", "jobs", "reconcile", "gateway"}

// built is a folder with all programs, made by the first test that needs it
// and removed by TestMain.
var (
	built string
	build = sync.OnceValue(func() error {
		var err error
		if built, err = os.MkdirTemp("", "interop-*"); err != nil {
			return err
		}
		return errors.Join(interop.Build(context.Background(), built), interop.BuildFunctions(context.Background(), built, functions...))
	})
)

func TestMain(m *testing.M) {
	code := servers.Run(m)
	_ = os.RemoveAll(built)
	os.Exit(code)
}

// setting is how a world differs from what config/knative says.
type setting struct {
	without []string              // programs that are not started at first
	change  func(*broker.Trigger) // made to each Trigger
}

// newWorld starts every program that the setting does not leave out.
func newWorld(t *testing.T, s setting) *world {
	t.Helper()
	w := prepare(t, s)
	for _, name := range slices.Sorted(maps.Keys(w.programs)) {
		if !slices.Contains(s.without, name) {
			w.start(t, name)
		}
	}
	return w
}

// prepare makes a world in which nothing runs yet.
func prepare(t *testing.T, s setting) *world {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	triggers, err := broker.Load(events.Manifests)
	if err != nil {
		t.Fatal(err)
	}
	for i := range triggers {
		if s.change != nil {
			s.change(&triggers[i])
		}
	}
	w := &world{ports: map[string]int{}, programs: map[string]servers.Program{}, running: map[string]*servers.Server{}, mails: servers.NewMailbox(t)}
	for _, name := range functions {
		w.ports[name] = port(t)
		w.programs[name] = w.function(name)
	}
	w.plane = interop.Plane{
		Topology: interop.NewTopology(unique(), triggers), Programs: built, Rabbit: rabbitServer(t), Port: port(t), Resolve: w.url,
	}
	if err := w.plane.Do(func(ch *amqp.Channel) error { return w.plane.Declare(ch) }); err != nil {
		t.Fatal(err)
	}
	for _, p := range w.plane.All() {
		w.programs[p.Name] = p
	}
	w.stores(t)
	return w
}

// stores gives the functions what they share.
func (w *world) stores(t *testing.T) {
	t.Helper()
	data := t.TempDir()
	ledgerURL, blobsURL := servers.MySQL(t), servers.Mongo(t)
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "DATA_DIR=" + data, "WORK_DIR=" + t.TempDir(), "PUBLIC_URL=" + w.url("gateway"),
		"LEDGER_URL=" + ledgerURL, "BLOBS_URL=" + blobsURL, "MAIL_URL=" + w.mails.URL(), "K_SINK=" + w.plane.IngressURL(),
	}
	for _, name := range []string{"login", "upload", "download", "jobs"} {
		w.env = append(w.env, strings.ToUpper(name)+"_URL="+w.url(name))
	}
	opener := backend.New(context.Background())
	t.Cleanup(func() { _ = opener.Close() })
	w.ledger, w.blobs = opener.Ledger(ledgerURL), opener.Blobs(blobsURL)
	if err := errors.Join(opener.Err(), opener.Ready(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// url is where a function is.
func (w *world) url(function string) string {
	return "http://127.0.0.1:" + strconv.Itoa(w.ports[function])
}

// start starts a program, or starts it again, and waits until it is ready.
func (w *world) start(t *testing.T, name string) {
	t.Helper()
	if s := w.running[name]; s != nil {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		return
	}
	p, ok := w.programs[name]
	if !ok {
		t.Fatalf("there is no program %s", name)
	}
	s := servers.StartProgram(t, p)
	w.running[name] = s
	if slices.Contains(functions, name) {
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			if log := s.Log(); strings.Contains(log, "DATA RACE") {
				t.Errorf("%s has a data race:\n%s", name, log)
			}
		})
	}
}

// function is the program of a function.
func (w *world) function(name string) servers.Program {
	return servers.Program{
		Name: name, URL: w.url(name),
		Command: func() *exec.Cmd {
			cmd := exec.Command(filepath.Join(built, name))
			cmd.Env = append(slices.Clone(w.env), "PORT="+strconv.Itoa(w.ports[name]))
			return cmd
		},
		Ready: func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url(name)+"/readyz", nil)
			if err != nil {
				return err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("not ready: %d", resp.StatusCode)
			}
			return nil
		},
	}
}

// audio counts the MP3s that are stored.
func (w *world) audio(t *testing.T) int {
	t.Helper()
	n := 0
	for _, err := range w.blobs.List(t.Context(), blob.Audio) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, within time.Duration, condition func() bool) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s", within, what)
		case <-tick.C:
		}
	}
}

// rabbitServer is the address of the server without the prefix that only our
// own broker knows.
func rabbitServer(t *testing.T) string {
	t.Helper()
	address, _, _ := strings.Cut(servers.Rabbit(t), "?")
	return address
}

func port(t *testing.T) int {
	t.Helper()
	n, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func unique() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
