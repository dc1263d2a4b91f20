package alchemist_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// place is where the program keeps what it keeps.
type place struct {
	data  string                      // DATA_DIR
	env   []string                    // the URLs of what is elsewhere
	blobs string                      // BLOBS_URL
	inbox func(t *testing.T) []string // the mails that were sent
}

// embedded is a place with no server: everything is in a folder of the test's.
func embedded(t *testing.T) *place {
	t.Helper()
	return embeddedIn(t.TempDir())
}

func embeddedIn(data string) *place {
	return &place{data: data, blobs: "file:" + filepath.Join(data, "blobs"), inbox: func(t *testing.T) []string {
		t.Helper()
		return contents(t, filepath.Join(data, "mail", "new", "*"))
	}}
}

// onServers is a place with real servers: a database, a blob store, queues and
// a mailbox of its own.
func onServers(t *testing.T) *place {
	t.Helper()
	mailbox := servers.NewMailbox(t)
	p := &place{data: t.TempDir(), blobs: servers.Mongo(t), inbox: func(*testing.T) []string { return mailbox.Mails() }}
	p.env = []string{
		"LEDGER_URL=" + servers.MySQL(t), "BLOBS_URL=" + p.blobs, "QUEUE_URL=" + servers.Rabbit(t), "MAIL_URL=" + mailbox.URL(),
	}
	return p
}

// onSecureServers is onServers over TLS alone, on servers that nobody shares:
// three of them are trusted by their URLs, the mailbox by the environment.
func onSecureServers(t *testing.T) *place {
	t.Helper()
	certificate, err := servers.NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	mailbox := servers.NewSecureMailbox(t, certificate)
	if runtime.GOOS == "darwin" { // SSL_CERT_FILE counts for nothing there
		mailbox = servers.NewMailbox(t)
	}
	p := &place{data: t.TempDir(), blobs: servers.StartMongo(t).SecureURL(), inbox: func(*testing.T) []string { return mailbox.Mails() }}
	p.env = []string{
		"LEDGER_URL=" + servers.StartMySQL(t).SecureURL(), "BLOBS_URL=" + p.blobs, "QUEUE_URL=" + servers.StartRabbit(t).SecureURL(),
		"MAIL_URL=" + mailbox.URL(), "SSL_CERT_FILE=" + certificate.File,
	}
	return p
}

// everywhere runs a test in each place: what people see is the same.
func everywhere(t *testing.T, test func(*testing.T, *place)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, embedded(t)) })
	t.Run("servers", func(t *testing.T) { test(t, onServers(t)) })
}

// mails returns the mails that were sent, each as it is on the wire.
func (p *place) mails(t *testing.T) []string {
	t.Helper()
	return p.inbox(t)
}

// stored lists the blobs of a bucket.
func (p *place) stored(t *testing.T, bucket blob.Bucket) []blob.Info {
	t.Helper()
	o := backend.New(context.Background())
	defer func() { _ = o.Close() }()
	store := o.Blobs(p.blobs)
	if err := o.Err(); err != nil {
		t.Fatal(err)
	}
	var all []blob.Info
	for info, err := range store.List(t.Context(), bucket) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info)
	}
	return all
}

// files lists the regular files below a folder of the data folder.
func (p *place) files(t *testing.T, folder string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(filepath.Join(p.data, folder), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all = append(all, path)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// contents reads the files whose names match.
func contents(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]string, 0, len(names))
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(raw))
	}
	return all
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
