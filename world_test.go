package alchemist_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// folderOfPrograms builds the program of each function once, with the race
// detector.
var folderOfPrograms = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "programs")
	args := []string{"build", "-race", "-o", dir + "/"}
	for _, name := range config.Functions() {
		args = append(args, "./cmd/"+name)
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return dir, nil
})

// world is every way to run the functions, on servers that come and go: each
// function as a program, the gateway in front, and all of them in one program.
// They share one ledger and one blob store.
type world struct {
	mysql, mongo, rabbit *servers.Server
	programs             map[string]*server
	whole                *server
	link                 string // to a result, once there is one
}

const (
	seconds = 30 * time.Second // what "within seconds" means on a machine with much to do
	bound   = 40 * time.Second // no answer takes longer, whatever is away
)

// startWorld starts all programs while no server is there.
func startWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		mysql: servers.StartMySQL(t), mongo: servers.StartMongo(t), rabbit: servers.StartRabbit(t), programs: map[string]*server{},
	}
	dir, err := folderOfPrograms()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range w.servers() {
		s.Kill()
	}
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	t.Cleanup(sink.Close)
	p := embedded(t)
	p.env = []string{"LEDGER_URL=" + w.mysql.URL(), "BLOBS_URL=" + w.mongo.URL(), "QUEUE_URL=" + w.rabbit.URL()}
	w.whole = launch(t, p, freePort(t))
	neighbours := []string{"K_SINK=" + sink.URL}
	for _, name := range config.Functions() {
		w.programs[name] = execute(t, filepath.Join(dir, name), p, freePort(t), neighbours...)
		neighbours = append(neighbours, strings.ToUpper(name)+"_URL="+w.programs[name].url)
	}
	return w
}

func (w *world) servers() []*servers.Server { return []*servers.Server{w.mysql, w.mongo, w.rabbit} }

// all are the programs, by what they need.
func (w *world) all() map[*server]string {
	all := map[*server]string{w.whole: "ledger, blobs, queue"}
	for name, s := range w.programs {
		switch name {
		case "gateway":
			all[s] = ""
		case "login", "notify":
			all[s] = "ledger"
		default:
			all[s] = "ledger, blobs"
		}
	}
	return all
}

// get asks a program, and fails the test for an answer that is late.
func (s *server) get(t *testing.T, path string) (int, string) {
	t.Helper()
	status, body, err := ask(s.url+path, "GET", "", nil)
	if err != nil {
		t.Error(err)
	}
	return status, body
}

// ask sends a request and returns the answer; one that takes too long is an
// error.
func ask(url, method, auth string, body io.Reader, header ...string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, "", err
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// running fails the test where a program has ended.
func (w *world) running(t *testing.T) {
	t.Helper()
	for s := range w.all() {
		select {
		case <-s.exited:
			t.Fatalf("%s ended with %d:\n%s", s.cmd.Path, s.code, tail(s.log.String(), 3000))
		default:
		}
	}
}

// ready waits until all programs are.
func (w *world) ready(t *testing.T) {
	t.Helper()
	for s := range w.all() {
		deadline := time.After(seconds)
		for tick := time.Tick(50 * time.Millisecond); ; {
			status, body, err := ask(s.url+"/readyz", "GET", "", nil)
			if err == nil && status == http.StatusOK {
				break
			}
			select {
			case <-tick:
			case <-deadline:
				t.Fatalf("%s is not ready after %v: %d %s %v", s.cmd.Path, seconds, status, body, err)
			}
		}
	}
	w.running(t)
}

// origins are what people can talk to.
func (w *world) origins() map[string]*server {
	return map[string]*server{"functions": w.programs["gateway"], "all in one": w.whole}
}

func adminBasic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(adminEmail+":"+adminPassword))
}
