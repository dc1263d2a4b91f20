package alchemist_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	alchemist "github.com/opengundumstyle/audio-alchemist"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
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
	u, err := url.Parse(p.blobs)
	if err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(p.blobs))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	for _, bucket := range blob.Buckets() {
		files := client.Database(strings.Trim(u.Path, "/")).Collection(string(bucket) + ".files")
		if _, err := files.UpdateMany(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "uploadDate", Value: then}}}}); err != nil {
			t.Fatal(err)
		}
	}
}
