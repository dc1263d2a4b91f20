package queue

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestAFileIsReadyAndAServerMayBeAway(t *testing.T) {
	o := backend.New(t.Context())
	address := "queue:" + filepath.Join(t.TempDir(), "queue.db")
	if first, again := Open(o, address), Open(o, address); first == nil || first != again {
		t.Errorf("one address is two queues: %p, %p", first, again)
	}
	if err := o.Ready(t.Context()); err != nil || o.Err() != nil {
		t.Errorf("with a file: %v, %v", err, o.Err())
	}
	Open(o, "amqp://user:hunter2@127.0.0.1:9/")
	if o.Err() != nil {
		t.Fatal(o.Err())
	}
	err := o.Ready(t.Context())
	if !fail.Is(err, fail.Unavailable) || fail.Detail(err) != "Cannot be used now: queue." || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("without its server: %v, for clients %q", err, fail.Detail(err))
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnUnknownSchemeIsRefused(t *testing.T) {
	o := backend.New(t.Context())
	if q := Open(o, "kafka://x"); q != nil || o.Err() == nil || !strings.HasPrefix(o.Err().Error(), "QUEUE_URL: unknown") {
		t.Errorf("error %v", o.Err())
	}
}
