package alchemist_test

import (
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
