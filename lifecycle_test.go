package alchemist_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	alchemist "github.com/opengundumstyle/audio-alchemist"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// TestAFunctionOpensOnlyWhatItNeeds starts each function where everything
// that it has no business with is out of reach, and looks at what it has made.
func TestAFunctionOpensOnlyWhatItNeeds(t *testing.T) {
	const (
		ledger, blobs, mail, private, links = "ledger", "blobs", "mail", "login.pem", "links.key" // as files
		media, public, sink, neighbours     = "ffmpeg", "public keys", "K_SINK", "addresses"
	)
	needs := map[string][]string{
		"login":     {ledger, private, public},
		"upload":    {public, ledger, blobs, links, sink},
		"convert":   {ledger, blobs, media},
		"notify":    {ledger, mail, links},
		"download":  {public, ledger, blobs, links},
		"jobs":      {public, ledger, blobs, links, sink},
		"reconcile": {ledger, blobs, sink},
		"gateway":   {neighbours},
	}
	keys := publicKeys(t)
	for _, name := range config.Functions() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			nowhere := filepath.Join(dir, "file", "below a file")
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			in := func(need, value, otherwise string) string {
				if slices.Contains(needs[name], need) {
					return value
				}
				return otherwise
			}
			env := map[string]string{
				"FUNCTION": name, "LOG_LEVEL": "error", "DATA_DIR": nowhere, "TOKEN_PUBLIC_KEYS": in(public, keys, nowhere),
				"LEDGER_URL":        "sqlite:" + in(ledger, filepath.Join(dir, "made", ledger), nowhere),
				"BLOBS_URL":         "file:" + in(blobs, filepath.Join(dir, "made", blobs), nowhere),
				"MAIL_URL":          "maildir:" + in(mail, filepath.Join(dir, "made", mail), nowhere),
				"LINK_KEY":          in(links, filepath.Join(dir, "made", links), nowhere),
				"TOKEN_SIGNING_KEY": in(private, filepath.Join(dir, "made", private), nowhere),
				"FFMPEG":            in(media, "ffmpeg", nowhere),
				"K_SINK":            in(sink, "http://127.0.0.1:9", ""),
				"QUEUE_URL":         "queue:" + nowhere,
			}
			for _, v := range []string{"LOGIN_URL", "UPLOAD_URL", "DOWNLOAD_URL", "JOBS_URL"} {
				env[v] = in(neighbours, "http://127.0.0.1:9", "")
			}
			if err := os.Mkdir(filepath.Join(dir, "made"), 0o700); err != nil {
				t.Fatal(err)
			}
			f := alchemist.New()
			if err := f.Start(t.Context(), env); err != nil {
				t.Fatal(err)
			}
			if err := f.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			made, err := os.ReadDir(filepath.Join(dir, "made"))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range made {
				if !slices.Contains(needs[name], e.Name()) && !strings.HasPrefix(e.Name(), ledger) {
					t.Errorf("it made %s", e.Name())
				}
			}
		})
	}
}

// publicKeys makes a file with a key set, as all functions but login need it.
func publicKeys(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(token.NewKeySet(public))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// database is the name of the one that the blobs are in, on a server.
func (p *place) database(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(p.blobs)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(u.Path, "/")
}

// age makes all stored blobs two hours older.
func (p *place) age(t *testing.T) {
	t.Helper()
	then := time.Now().Add(-2 * time.Hour)
	if folder, ok := strings.CutPrefix(p.blobs, "file:"); ok {
		names, err := filepath.Glob(filepath.Join(folder, "*", "*", "*"))
		for _, name := range names {
			err = errors.Join(err, os.Chtimes(name, then, then))
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	client, err := mongo.Connect(options.Client().ApplyURI(p.blobs))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	for _, bucket := range blob.Buckets() {
		files := client.Database(p.database(t)).Collection(string(bucket) + ".files")
		if _, err := files.UpdateMany(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "uploadDate", Value: then}}}}); err != nil {
			t.Fatal(err)
		}
	}
}

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

// TestServersComeAndGo starts every program before the servers, and takes each
// of those away again, by a kill and by a hang.
func TestServersComeAndGo(t *testing.T) {
	w := startWorld(t)
	for s, needs := range w.all() {
		eventually(t, s.cmd.Path+" is live", seconds, func() bool {
			status, _, err := ask(s.url+"/healthz", "GET", "", nil)
			return err == nil && status == http.StatusOK
		})
		began := time.Now()
		status, body := s.get(t, "/readyz")
		if want := "Cannot be used now: " + needs + "."; needs != "" && (status != http.StatusServiceUnavailable || !strings.Contains(body, want)) {
			t.Errorf("%s with no server: /readyz answers %d %s, want %q", s.cmd.Path, status, body, want)
		}
		if needs == "" && status != http.StatusOK {
			t.Errorf("%s needs nothing: /readyz answers %d %s", s.cmd.Path, status, body)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("%s: /readyz took %v", s.cmd.Path, took)
		}
	}
	for name, s := range w.origins() {
		if status, body, err := ask(s.url+"/login", "POST", adminBasic(), nil); status != http.StatusServiceUnavailable || err != nil {
			t.Errorf("%s: a login with no server: %d %s %v", name, status, body, err)
		}
	}
	w.running(t)

	for _, s := range w.servers() {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	w.ready(t)
	content := video(t, 1)
	c := w.whole.admin(t)
	if j := c.await(t, c.upload(t, "a.mp4", content).ID); j.State != job.Done {
		t.Fatalf("ended %+v", j)
	}

	for _, tt := range []struct {
		name   string
		server *servers.Server
		needs  string         // what /readyz says is missing
		want   map[string]int // status of each request meanwhile
	}{
		{"MySQL", w.mysql, "ledger", map[string]int{"login": 503, "jobs": 503, "upload": 503, "page": 200}},
		{"Mongo", w.mongo, "blobs", map[string]int{"login": 200, "jobs": 200, "upload": 503, "page": 200}},
		{"Rabbit", w.rabbit, "queue", map[string]int{"login": 200, "jobs": 200, "upload": 202, "page": 200}},
	} {
		for how, away := range map[string]struct{ begin, end func() error }{
			"killed": {func() error { tt.server.Kill(); return nil }, tt.server.Start},
			"hangs":  {func() error { tt.server.Pause(); return nil }, func() error { tt.server.Resume(); return nil }},
		} {
			t.Run(tt.name+" "+how, func(t *testing.T) {
				for name, s := range w.origins() {
					if name == "functions" && tt.name == "Rabbit" {
						continue // it is the sink's
					}
					w.outage(t, name, &client{server: s, http: http.DefaultClient, token: c.token}, content, tt.needs, tt.want, away.begin, away.end)
				}
			})
		}
	}
	if j := c.await(t, c.upload(t, "b.mp4", content).ID); j.State != job.Done {
		t.Errorf("in the end: %+v", j)
	}
}

// outage takes a server away in the middle of an upload, looks at what is
// answered meanwhile, and gives it back.
func (w *world) outage(t *testing.T, name string, c *client, content []byte, needs string, want map[string]int, begin, end func() error) {
	t.Helper()
	half, gone := make(chan struct{}), make(chan struct{})
	upload := c.uploadRequest(t, "cut.mp4", &slow{bytes.NewReader(content[:len(content)/2]), bytes.NewReader(content[len(content)/2:]), half, gone})
	type answer struct {
		what, body string
		status     int
		err        error
		took       time.Duration
	}
	answers := make(chan answer, len(want))
	send := func(what, method, path, auth string, body io.Reader, header ...string) {
		go func() {
			began := time.Now()
			status, text, err := ask(c.url+path, method, auth, body, header...)
			answers <- answer{what, text, status, err, time.Since(began)}
		}()
	}
	bearer := "Bearer " + c.token
	send("upload", "POST", "/upload", bearer, upload.Body, "Content-Type", upload.Header.Get("Content-Type"))
	<-half
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	close(gone)
	send("login", "POST", "/login", adminBasic(), nil)
	send("jobs", "GET", "/jobs", bearer, nil)
	send("page", "GET", "/", "", nil)
	for range want {
		a := <-answers
		if a.err != nil || a.status != want[a.what] {
			t.Errorf("%s: %s answers %d, want %d: %s %v", name, a.what, a.status, want[a.what], a.body, a.err)
		}
		t.Logf("%s: %s answers %d after %v", name, a.what, a.status, a.took.Round(time.Millisecond))
	}
	if c.server == w.whole {
		eventually(t, "/readyz tells", seconds, func() bool {
			status, body := c.get(t, "/readyz")
			return status == http.StatusServiceUnavailable && strings.Contains(body, needs)
		})
	}
	if status, _ := c.get(t, "/healthz"); status != http.StatusOK {
		t.Errorf("%s: /healthz answers %d", name, status)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	w.ready(t)
	var all sync.WaitGroup
	for range 20 { // more than any pool has connections
		all.Go(func() {
			if status, body, err := ask(c.url+"/jobs", "GET", bearer, nil); status != http.StatusOK || err != nil {
				t.Errorf("%s: afterwards /jobs answers %d %s %v", name, status, body, err)
			}
		})
	}
	all.Wait()
}
