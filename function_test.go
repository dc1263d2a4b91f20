package alchemist_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	alchemist "github.com/opengundumstyle/audio-alchemist"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
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

// TestRequestsMayComeBeforeTheStart serves as func does: while Start works.
func TestRequestsMayComeBeforeTheStart(t *testing.T) {
	f := alchemist.New()
	ask := func() int {
		w := httptest.NewRecorder()
		f.Handle(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
		return w.Code
	}
	if ready, err := f.Ready(t.Context()); ready || err != nil {
		t.Errorf("before the start: ready %v, %v", ready, err)
	}
	if status := ask(); status != http.StatusServiceUnavailable {
		t.Errorf("before the start: %d", status)
	}
	started := make(chan error)
	go func() {
		started <- f.Start(t.Context(), map[string]string{"FUNCTION": "login", "LOG_LEVEL": "error", "DATA_DIR": t.TempDir()})
	}()
	eventually(t, "it answers", 30*time.Second, func() bool { return ask() == http.StatusOK })
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if ready, err := f.Ready(t.Context()); !ready || err != nil {
		t.Errorf("after the start: ready %v, %v", ready, err)
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestASignalEndsFollowedJobs stops the function as func does: the signal comes
// to everybody, func waits until no request is left, and calls Stop only then.
func TestASignalEndsFollowedJobs(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	defer signal.Stop(signals)
	f := alchemist.New()
	if err := f.Start(t.Context(), map[string]string{
		"DATA_DIR": t.TempDir(), "ADMIN_EMAIL": adminEmail, "ADMIN_PASSWORD": adminPassword, "LOG_LEVEL": "error", "DRAIN_TIMEOUT": "1s",
	}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(f.Handle))
	defer srv.Close()
	c := (&server{url: srv.URL}).admin(t)
	j := c.upload(t, "long.mp4", video(t, 600))
	followed := c.follow(t, j.ID)
	if !followed.Scan() {
		t.Fatalf("the stream has nothing: %v", followed.Err())
	}

	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-signals
	bound, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := srv.Config.Shutdown(bound); err != nil {
		t.Errorf("requests are left: %v", err)
	}
	if last := rest(t, followed); last.ID != j.ID || last.State.Ended() || followed.Err() != nil {
		t.Errorf("the stream ends with %+v, %v; want it to end before the job", last, followed.Err())
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
