package rabbit_test

import (
	"os"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/queuetest"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/rabbit"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

func open(t testing.TB, address string) *rabbit.Queue {
	t.Helper()
	q, err := rabbit.Open(address, rabbit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueue(t *testing.T) {
	addresses := map[string]string{}
	queuetest.Run(t, func(t *testing.T, place string) broker.Queue {
		if addresses[place] == "" {
			addresses[place] = servers.Rabbit(t)
		}
		return open(t, addresses[place])
	})
}
