package gridfs

import (
	"os"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/blobtest"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

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
