package servers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// The servers that all tests of one test program share, each started by the
// first test that asks for it, unless a variable names one that is there.
var (
	sharedMySQL  = shared("MYSQL_URL", NewMySQL)
	sharedMongo  = shared("MONGO_URL", NewMongo)
	sharedRabbit = shared("AMQP_URL", NewRabbit)
)

var ends struct {
	mu  sync.Mutex
	all []func() error
}

// Run runs the tests and stops the servers that they have shared. It is the
// body of TestMain of every package that uses them.
func Run(m *testing.M) int {
	code := m.Run()
	for _, end := range ends.all {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}

// shared returns the URL of the server that the variable names, or of one
// that it starts.
func shared(variable string, start func(dir string) (*Server, error)) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		if given := os.Getenv(variable); given != "" {
			return given, nil
		}
		s, err := start("")
		if err != nil {
			return "", err
		}
		ends.mu.Lock()
		defer ends.mu.Unlock()
		ends.all = append(ends.all, s.Remove)
		return s.URL(), nil
	})
}

// MySQL returns the URL of an empty database that is this test's alone and
// goes with it.
func MySQL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, parse(t, sharedMySQL))
}

// DatabaseOn is MySQL on a server of NewMySQL.
func DatabaseOn(t testing.TB, s *Server) string {
	t.Helper()
	return newDatabase(t, parse(t, func() (string, error) { return s.URL(), nil }))
}

func newDatabase(t testing.TB, u *url.URL) string {
	t.Helper()
	name, server := "alchemist_"+unique(), *u
	password, _ := server.User.Password()
	do := func(ctx context.Context, statement string) error {
		return inMySQL(ctx, server.Host, server.User.Username(), password, strings.Trim(server.Path, "/"), statement)
	}
	if err := do(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = do(context.Background(), "DROP DATABASE "+name) })
	u.Path = "/" + name
	return u.String()
}

// Mongo returns the URL of an empty database that is this test's alone and
// goes with it.
func Mongo(t testing.TB) string {
	t.Helper()
	u := parse(t, sharedMongo)
	u.Path = "/alchemist_" + unique()
	address := u.String()
	t.Cleanup(func() {
		_ = inMongo(context.Background(), address, func(ctx context.Context, c *mongo.Client) error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			return c.Database(strings.Trim(u.Path, "/")).Drop(ctx)
		})
	})
	return address
}

// Rabbit returns the URL of a RabbitMQ server with a prefix for names that is
// this test's alone. What a test leaves there goes with a private server; one
// that AMQP_URL names keeps it.
func Rabbit(t testing.TB) string {
	t.Helper()
	u := parse(t, sharedRabbit)
	q := u.Query()
	q.Set("prefix", "test-"+unique())
	u.RawQuery = q.Encode()
	return u.String()
}

// StartMySQL starts a server of the test's own, which it may kill.
func StartMySQL(t testing.TB) *Server { t.Helper(); return own(t, NewMySQL) }

// StartMongo starts a server of the test's own, which it may kill.
func StartMongo(t testing.TB) *Server { t.Helper(); return own(t, NewMongo) }

// StartRabbit starts a server of the test's own, which it may kill.
func StartRabbit(t testing.TB) *Server { t.Helper(); return own(t, NewRabbit) }

// Impostors are addresses of a server of StartMySQL, StartMongo or StartRabbit
// that a client which verifies certificates must not believe, by what is wrong.
func (s *Server) Impostors(t testing.TB) map[string]string {
	t.Helper()
	another, err := NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(s.dir, filepath.Base(another.File))
	return map[string]string{
		"a certificate that nobody has signed": strings.Replace(s.secure, trusted, another.File, 1),
		"a certificate for another name":       strings.Replace(s.secure, host()+":", "localhost:", 1),
	}
}

func own(t testing.TB, start func(dir string) (*Server, error)) *Server {
	t.Helper()
	s, err := start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", s.name, s.tail())
		}
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func parse(t testing.TB, address func() (string, error)) *url.URL {
	t.Helper()
	text, err := address()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func unique() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
