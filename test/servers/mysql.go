package servers

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/go-sql-driver/mysql"
)

const (
	mysqlUser     = "alchemist"
	mysqlPassword = "secret" // #nosec G101 -- of a server that only this machine reaches
	mysqlDatabase = "alchemist"
)

// NewMySQL starts a MariaDB server over a new folder in dir; its URL names an
// empty database, and its account may make more.
func NewMySQL(dir string) (*Server, error) {
	daemon, err := find("mariadbd", "/usr/sbin/mariadbd", "mysqld", "/usr/sbin/mysqld")
	if err != nil {
		return nil, err
	}
	install, err := find("mariadb-install-db")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	if dir, err = os.MkdirTemp(dir, "mysql-*"); err != nil {
		return nil, err
	}
	data, first, temporary := filepath.Join(dir, "data"), filepath.Join(dir, "first.sql"), filepath.Join(dir, "tmp")
	if err := os.Mkdir(temporary, 0o700); err != nil {
		return nil, err
	}
	// A server that starts removes the temporary tables it finds: also those of
	// another, in a folder that they share.
	args := []string{"--no-defaults", "--datadir=" + data, "--tmpdir=" + temporary}
	if os.Getuid() == 0 {
		args = append(args, "--user=root")
	}
	certificate, err := NewCertificate(dir)
	if err != nil {
		return nil, err
	}
	out, err := command(install, append(args, "--auth-root-authentication-method=normal", "--skip-test-db")...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("make the database folder: %w\n%s", err, out)
	}
	account := fmt.Sprintf("CREATE DATABASE IF NOT EXISTS %s;\nCREATE USER IF NOT EXISTS '%s'@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO '%s'@'%%' WITH GRANT OPTION;\n",
		mysqlDatabase, mysqlUser, mysqlPassword, mysqlUser)
	if err := os.WriteFile(first, []byte(account), 0o600); err != nil {
		return nil, err
	}
	args = append(args, "--bind-address="+host(), "--port="+strconv.Itoa(port), "--socket="+filepath.Join(dir, "socket"),
		"--pid-file="+filepath.Join(dir, "pid"), "--init-file="+first, "--skip-name-resolve",
		"--ssl-cert="+certificate.File, "--ssl-key="+certificate.Key, "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M")
	url := fmt.Sprintf("mysql://%s:%s@%s/%s", mysqlUser, mysqlPassword, local(port), mysqlDatabase)
	return open(&Server{
		name: "MariaDB", dir: dir, url: url, secure: url + "?tls=true&ca=" + certificate.File,
		command: func() *exec.Cmd { return command(daemon, args...) },
		ready: func(ctx context.Context) error {
			return inMySQL(ctx, local(port), mysqlUser, mysqlPassword, mysqlDatabase, "SELECT 1")
		},
	})
}

// inMySQL runs a statement.
func inMySQL(ctx context.Context, address, user, password, database, statement string) error {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName, c.Logger = "tcp", address, user, password, database, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, statement)
	return err
}
