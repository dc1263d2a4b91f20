package gridfs

import (
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func TestTLS(t *testing.T) {
	s := servers.StartMongo(t)
	t.Run("verified", func(t *testing.T) {
		want := content(3 * chunkSize)
		secure := store(t, s.SecureURL(), Options{})
		wantContent(t, secure, put(t, secure, want), want)
	})
	for wrong, address := range s.Impostors(t) {
		t.Run(wrong, func(t *testing.T) {
			err := store(t, address, Options{}).Ready(t.Context())
			if !fail.Is(err, fail.Unavailable) || !strings.Contains(err.Error(), "x509: ") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
