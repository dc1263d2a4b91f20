package rabbit_test

import (
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func TestTLS(t *testing.T) {
	s := servers.StartRabbit(t)
	t.Run("verified", func(t *testing.T) {
		q := quietly(t, s.SecureURL())
		got := collect(t, q, "inbox")
		if err := q.Publish(t.Context(), event("1"), "inbox"); err != nil {
			t.Fatal(err)
		}
		if id := next(t, got); id != "1/0" {
			t.Errorf("got %s", id)
		}
	})
	for wrong, address := range s.Impostors(t) {
		t.Run(wrong, func(t *testing.T) {
			err := quietly(t, address).Ready(t.Context())
			if !fail.Is(err, fail.Unavailable) || !strings.Contains(err.Error(), "x509: ") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
