package rabbit_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// TestNoMoreIsTakenThanCanBeHandled holds what it is given: the rest stays
// with the server, where other consumers get it and no timeout runs on it.
func TestNoMoreIsTakenThanCanBeHandled(t *testing.T) {
	const all, limit = 10, 2
	address := servers.Rabbit(t)
	q, o := quietly(t, address), operate(t, address)
	for i := range all {
		if err := q.Publish(t.Context(), event(fmt.Sprint(i)), "q"); err != nil {
			t.Fatal(err)
		}
	}
	held, release := make(chan string, all), make(chan bool)
	consume(t, q, "q", limit, func(d broker.Delivery) {
		held <- d.Message().Event.ID()
		<-release
		if err := d.Ack(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { close(release) })
	seen := map[string]bool{}
	for taken := 1; taken <= all; taken++ {
		if taken > limit {
			release <- true
		}
		seen[next(t, held)] = true
		if taken < limit {
			continue // the others are on their way
		}
		if n := o.waiting(".q"); n != all-taken {
			t.Errorf("of %d messages %d are taken and %d wait on the server, want %d", all, taken, n, all-taken)
		}
	}
	if len(seen) != all {
		t.Errorf("%d different messages of %d", len(seen), all)
	}
}
