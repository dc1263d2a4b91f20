package ledger

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const mysqlForm = "mysql://user:password@host:3306/db" // #nosec G101 -- a form

// What bounds the work with a server, from the inside out: a lock is waited
// for less long than an answer, and an answer less long than an operation. One
// of a row is given up while there is time to try again (retryFor).
const (
	rowLockWithin   = 1 // seconds, the least that InnoDB takes
	tableLockWithin = 5 // seconds
	connectWithin   = 5 * time.Second
	answerWithin    = 10 * time.Second // for what no context bounds: COMMIT and ROLLBACK
	operationWithin = 10 * time.Second
)

// The pool is small, as there are many processes and a server takes 151
// connections unless told otherwise. The server ends a session that is silent
// for sessionIdle seconds, and so frees the locks of a process that is gone
// without a word; the pool drops it long before.
const (
	connections    = 4
	maxConnections = 1000
	idleFor        = 20 * time.Second
	openFor        = 5 * time.Minute
	sessionIdle    = 60
)

// openMySQL makes a database of the server at the address, without asking it.
func openMySQL(address string) (*database, error) {
	config, size, err := mysqlConfig(address)
	if err != nil {
		return nil, err
	}
	pool, err := mysqlPool(config, size)
	if err != nil {
		return nil, err
	}
	return &database{
		pool: pool, shared: true, within: operationWithin,
		options: &sql.TxOptions{Isolation: sql.LevelReadCommitted},
		schema: newSchema(func(ctx context.Context) error {
			return migrateMySQL(ctx, pool, config, migrationsOf("mysql"))
		}),
	}, nil
}

func mysqlPool(config *mysql.Config, size int) (*sql.DB, error) {
	c, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fail.New(fail.Invalid, "ledger: the parameters of %s do not fit together", mysqlForm)
	}
	pool := sql.OpenDB(connector{c})
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxIdleTime(idleFor)
	pool.SetConnMaxLifetime(openFor)
	return pool, nil
}

// connector bounds the whole way to a connection that can be used; the
// driver's own timeout is over once something has accepted.
type connector struct{ driver.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	return c.Connector.Connect(ctx)
}

// mysqlConfig reads an address, and how many connections it allows. The
// address has a password: no error has any of it.
func mysqlConfig(address string) (*mysql.Config, int, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, 0, fail.New(fail.Invalid, "ledger: the address cannot be read, want %s (special characters escaped as %%XX)", mysqlForm)
	}
	db := strings.TrimPrefix(u.Path, "/")
	if u.Hostname() == "" || u.User.Username() == "" || db == "" || strings.Contains(db, "/") || u.Fragment != "" {
		return nil, 0, fail.New(fail.Invalid, "ledger: the address is not whole, want %s", mysqlForm)
	}
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	c := mysql.NewConfig()
	c.User, c.DBName = u.User.Username(), db
	c.Passwd, _ = u.User.Password()
	c.Net, c.Addr = "tcp", net.JoinHostPort(u.Hostname(), port)
	c.Timeout, c.ReadTimeout, c.WriteTimeout = connectWithin, answerWithin, answerWithin
	c.ParseTime = true         // goose reads times
	c.ClientFoundRows = true   // an UPDATE counts the rows it finds, as in SQLite
	c.InterpolateParams = true // one trip for a statement instead of three
	c.RejectReadOnly = true    // after a failover, look for the new primary
	c.Logger = &mysql.NopLogger{}
	c.Params = map[string]string{
		"sql_mode":                 "'TRADITIONAL,ONLY_FULL_GROUP_BY'",
		"innodb_lock_wait_timeout": strconv.Itoa(rowLockWithin),
		"lock_wait_timeout":        strconv.Itoa(tableLockWithin),
		"wait_timeout":             strconv.Itoa(sessionIdle),
	}
	_ = c.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")) // never fails
	size, err := mysqlParameters(c, u.RawQuery)
	return c, size, err
}

// mysqlParameters puts what follows the "?" into the configuration.
func mysqlParameters(c *mysql.Config, raw string) (size int, err error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return 0, fail.New(fail.Invalid, "ledger: the parameters of the address cannot be read")
	}
	size = connections
	for name, values := range q {
		switch {
		case len(values) > 1:
			return 0, fail.New(fail.Invalid, "ledger: the parameter %s is given twice", name)
		case name == "connections":
			if size, err = strconv.Atoi(values[0]); err != nil || size < 1 || size > maxConnections {
				return 0, fail.New(fail.Invalid, "ledger: connections: want 1 to %d, found %q", maxConnections, values[0])
			}
		case name != "tls" && name != "ca":
			return 0, fail.New(fail.Invalid, "ledger: unknown parameter %q, want tls, ca or connections", name)
		}
	}
	return size, mysqlTLS(c, q.Get("tls"), q.Get("ca"))
}

func mysqlTLS(c *mysql.Config, mode, ca string) error {
	switch mode {
	case "true":
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	case "", "false", "skip-verify", "preferred":
		c.TLSConfig = mode
	default:
		return fail.New(fail.Invalid, "ledger: tls: want true, false, preferred or skip-verify, found %q", mode)
	}
	if ca == "" {
		return nil
	}
	if c.TLS == nil {
		return fail.New(fail.Invalid, "ledger: ca: only tls=true verifies a certificate")
	}
	pem, err := os.ReadFile(ca) // #nosec G304 -- the operator's own setting
	if err != nil {
		return fail.Wrap(fail.Invalid, err, "ledger: ca")
	}
	c.TLS.RootCAs = x509.NewCertPool()
	if !c.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return fail.New(fail.Invalid, "ledger: ca: %s holds no certificate", ca)
	}
	return nil
}
