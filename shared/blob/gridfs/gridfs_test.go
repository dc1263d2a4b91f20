package gridfs

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/blobtest"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// childEnv makes the test program a writer in a process of its own: it puts
// its standard input into the database at that URL.
const childEnv = "BLOB_GRIDFS_TEST_CHILD"

func TestMain(m *testing.M) {
	if address := os.Getenv(childEnv); address != "" {
		s, err := Open(address, Options{})
		if err == nil {
			_, err = s.Put(context.Background(), blob.Videos, os.Args[1], os.Stdin)
		}
		if err != nil {
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(servers.Run(m))
}

// store opens a store that is closed with the test.
func store(t testing.TB, address string, opts Options) *Store {
	t.Helper()
	s, err := Open(address, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return store(t, servers.Mongo(t), Options{}) })
}

// content returns n bytes that look random, the same for the same n.
func content(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(p)
	return p
}

func put(t *testing.T, s *Store, p []byte) string {
	t.Helper()
	id := blob.NewID()
	if _, err := s.Put(t.Context(), blob.Videos, id, bytes.NewReader(p)); err != nil {
		t.Fatalf("Put: %v", err)
	}
	return id
}

func open(t *testing.T, s *Store, id string) blob.Reader {
	t.Helper()
	r, err := s.Open(t.Context(), blob.Videos, id)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func wantContent(t *testing.T, s *Store, id string, want []byte) {
	t.Helper()
	if got, err := io.ReadAll(open(t, s, id)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, error %v; want the %d bytes that were put", len(got), err, len(want))
	}
}

func database(t *testing.T, s *Store) *mongo.Database {
	t.Helper()
	db, err := s.connected()
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// counts are how many documents there are of each kind.
type counts struct{ files, chunks, intents int64 }

func count(t *testing.T, s *Store) counts {
	t.Helper()
	db := database(t, s)
	var n [3]int64
	for i, c := range []*mongo.Collection{db.Collection("videos.files"), db.Collection("videos.chunks"), db.Collection("unfinished")} {
		var err error
		if n[i], err = c.CountDocuments(t.Context(), bson.D{}); err != nil {
			t.Fatal(err)
		}
	}
	return counts{n[0], n[1], n[2]}
}

// until polls for a condition that has to come true.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !met(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// swept sweeps until nothing is left to finish.
func swept(t *testing.T, s *Store) {
	t.Helper()
	until(t, "sweeping", func() bool {
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
		return count(t, s).intents == 0
	})
}
