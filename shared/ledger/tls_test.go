package ledger

import (
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func TestTLS(t *testing.T) {
	s := servers.StartMySQL(t)
	t.Run("verified", func(t *testing.T) {
		l, _ := openAt(t, s.SecureURL())
		works(t, l)
		if got := pairs(t, l, "SHOW SESSION STATUS LIKE 'Ssl_version'"); len(got) != 1 || !strings.HasPrefix(got[0], "Ssl_version.TLSv1.") {
			t.Errorf("the connection is of %v", got)
		}
	})
	for wrong, address := range s.Impostors(t) {
		t.Run(wrong, func(t *testing.T) {
			l, _ := openAt(t, address)
			err := l.Ready(t.Context())
			wantKind(t, err, fail.Unavailable)
			if !strings.Contains(err.Error(), "x509: ") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
