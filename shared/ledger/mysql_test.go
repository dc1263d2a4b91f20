package ledger

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestAddressesOfServers(t *testing.T) {
	const secret = "s3cr#t/"
	at := func(rest string) string { return "mysql://anna:s3cr%23t%2F@" + rest }
	ca := filepath.Join(t.TempDir(), "ca.pem")
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	noCA := filepath.Join(t.TempDir(), "no.pem")
	if err := os.WriteFile(noCA, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ address, addr, db, tls string }{
		"plain":          {at("db.example:3307/ledger"), "db.example:3307", "ledger", ""},
		"no port":        {at("db.example/ledger"), "db.example:3306", "ledger", ""},
		"IPv6":           {at("[::1]/ledger"), "[::1]:3306", "ledger", ""},
		"TLS preferred":  {at("db/l?tls=preferred"), "db:3306", "l", "preferred"},
		"TLS unverified": {at("db/l?tls=skip-verify"), "db:3306", "l", "skip-verify"},
		"TLS off":        {at("db/l?tls=false&connections=9"), "db:3306", "l", "false"},
	} {
		c, _, err := mysqlConfig(tt.address)
		if err != nil || c.User != "anna" || c.Passwd != secret || c.Addr != tt.addr || c.DBName != tt.db || c.TLSConfig != tt.tls || c.TLS != nil {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	c, size, err := mysqlConfig(at("db/l?tls=true&connections=9&ca=" + ca))
	if err != nil || c.TLS == nil || c.TLS.InsecureSkipVerify || c.TLS.RootCAs == nil || size != 9 {
		t.Errorf("TLS verified: %+v, %d connections, %v", c, size, err)
	}
	for _, address := range []string{
		"mysql:", "mysql:ledger", "mysql://", "mysql:///db", "mysql://host/db", at("db"), at("db/"), at("db/a/b"), at("db/l#x"),
		"mysql://anna:s3cr#t%2@db/l", "mysql://anna:s3cr%2@db/l", at("db:port/l"), at("db/l?%zz"),
		at("db/l?charset=latin1"), at("db/l?tls=maybe"), at("db/l?tls=true&tls=false"), at("db/l?ca=" + ca),
		at("db/l?tls=true&ca=/no/such/file"), at("db/l?tls=true&ca=" + noCA),
		at("db/l?connections=0"), at("db/l?connections=many"), at("db/l?connections=1001"),
	} {
		_, err := Open(t.Context(), address)
		if !fail.Is(err, fail.Invalid) {
			t.Errorf("%s: %v, want it refused", address, err)
		} else if strings.Contains(err.Error(), "s3cr") {
			t.Errorf("the password is in %v", err)
		}
	}
}

func TestAPoolIsSmallUnlessItIsToldOtherwise(t *testing.T) {
	for parameters, want := range map[string]int{"": 4, "?connections=9": 9} {
		l, _ := openAt(t, "mysql://anna@db.example/l"+parameters)
		if got := l.db.pool.Stats().MaxOpenConnections; got != want {
			t.Errorf("%q allows %d connections, want %d", parameters, got, want)
		}
	}
}

func TestAWrongPasswordIsNotShown(t *testing.T) {
	address := strings.Replace(databases["mysql"](t), ":secret@", ":n0t-it@", 1)
	l, _ := openAt(t, address)
	err := l.Ready(t.Context())
	wantKind(t, err, fail.Unavailable)
	if !strings.Contains(err.Error(), "1045") || strings.Contains(err.Error(), "n0t-it") {
		t.Errorf("the error is %v", err)
	}
}

func TestSessionsAreAsTheLedgerNeedsThem(t *testing.T) {
	l, _ := openAt(t, databases["mysql"](t)+"?connections=1&tls=preferred")
	works(t, l)
	for query, want := range map[string]string{
		"SELECT @@collation_connection, @@character_set_client": "utf8mb4_bin.utf8mb4",
		"SELECT @@innodb_lock_wait_timeout, @@wait_timeout":     "1.60",
		"SELECT @@sql_mode LIKE '%STRICT_ALL_TABLES%', 1":       "1.1",
	} {
		if got := pairs(t, l, query); got[0] != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	j := newJob("anna")
	j.Name = strings.Repeat("x", 501)
	_, err := l.CreateJob(t.Context(), j)
	wantKind(t, err, fail.Unavailable) // and not a name cut short
}
