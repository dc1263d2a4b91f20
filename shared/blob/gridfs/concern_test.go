package gridfs

import (
	"bytes"
	"context"
	"net/url"
	"slices"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// sent keeps the commands that a store sends.
type sent struct {
	mu       sync.Mutex
	commands []bson.Raw
}

func (c *sent) monitor() *event.CommandMonitor {
	return &event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.commands = append(c.commands, slices.Clone(e.Command))
	}}
}

// take returns the commands since the last call, by their names.
func (c *sent) take() map[string][]bson.Raw {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]bson.Raw{}
	for _, command := range c.commands {
		name := command.Index(0).Key()
		all[name] = append(all[name], command)
	}
	c.commands = nil
	return all
}

// amended has its first byte replaced.
type amended struct{ *bytes.Reader }

func (amended) Amend() (int64, []byte) { return 0, []byte("!") }

// exercise does with a blob all that can be done.
func exercise(t *testing.T, s *Store) {
	t.Helper()
	p := content(chunkSize + 1)
	id := blob.NewID()
	if _, err := s.Put(t.Context(), blob.Videos, id, amended{bytes.NewReader(p)}); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, id, append([]byte("!"), p[1:]...))
	for _, err := range s.List(t.Context(), blob.Videos) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), blob.Videos, id); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// with sets options of a URL.
func with(t *testing.T, address string, options map[string]string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for key, value := range options {
		q.Set(key, value)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// What a Put has acknowledged outlives the primary, and is seen at once.
func TestConcernsAreOursWhateverTheURLSays(t *testing.T) {
	address := with(t, servers.Mongo(t), map[string]string{"w": "1", "journal": "false", "readConcernLevel": "majority", "readPreference": "nearest"})
	var commands sent
	s := store(t, address, Options{monitor: commands.monitor()})
	exercise(t, s)
	all := commands.take()
	for _, want := range []struct {
		concern, key, value string
		commands            []string
	}{
		{"writeConcern", "w", "majority", []string{"createIndexes", "insert", "update", "delete"}},
		{"readConcern", "level", "local", []string{"find"}},
	} {
		for _, name := range want.commands {
			if len(all[name]) == 0 {
				t.Errorf("no %s was sent: the test proves nothing", name)
			}
			for _, command := range all[name] {
				if got, _ := command.Lookup(want.concern, want.key).StringValueOK(); got != want.value {
					t.Errorf("%s of %s: its %s is %s, want %s %q", name, command.Index(0).Value(), want.concern, command.Lookup(want.concern), want.key, want.value)
				}
			}
		}
	}
	// A server that is alone is not told.
	if got := clientOptions(address).ReadPreference; got == nil || got.Mode() != readpref.PrimaryMode {
		t.Errorf("read preference %v, want primary", got)
	}
}

func TestTheFirstUseMakesTheIndexesOfGridFS(t *testing.T) {
	var commands sent
	s := store(t, servers.Mongo(t), Options{monitor: commands.monitor()})
	for use, want := range []int{4, 0} { // two collections in each of two buckets
		exercise(t, s)
		if got := len(commands.take()["createIndexes"]); got != want {
			t.Errorf("use %d sent createIndexes %d times, want %d", use+1, got, want)
		}
	}
	for _, name := range blob.Buckets() {
		b := inDatabase(database(t, s), name)
		wantIndex(t, b.chunks, "files_id_1_n_1", true)
		wantIndex(t, b.files, "filename_1_uploadDate_1", false)
	}
}

func wantIndex(t *testing.T, c *mongo.Collection, name string, unique bool) {
	t.Helper()
	all, err := c.Indexes().ListSpecifications(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range all {
		if index.Name == name {
			if got := index.Unique != nil && *index.Unique; got != unique {
				t.Errorf("index %s of %s: unique %t, want %t", name, c.Name(), got, unique)
			}
			return
		}
	}
	t.Errorf("%s has no index %s, but %d others", c.Name(), name, len(all))
}
