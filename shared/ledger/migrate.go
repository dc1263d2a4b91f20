package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
	goosedb "github.com/pressly/goose/v3/database"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// The folders have the same versions, each of which leaves the same tables in
// either database.
//
//go:embed migrations
var migrations embed.FS

// migrationsOf is the folder of a database.
func migrationsOf(name string) fs.FS {
	dir, _ := fs.Sub(migrations, "migrations/"+name) // fails only for what is no path
	return dir
}

func migrateSQLite(ctx context.Context, pool *sql.DB) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, migrationsOf("sqlite"), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fail.Wrap(fail.Internal, err, "read migrations")
	}
	_, err = p.Up(ctx)
	return fail.Wrap(fail.Unavailable, err, "migrate ledger")
}

const (
	versionTable = "goose_db_version"
	migrateLock  = 10 // seconds to wait for another process that migrates
	tableLock    = 60 // seconds to wait for statements that use a table
	unlockWithin = 5 * time.Second
)

// migrateMySQL brings the tables up to date. Where they are, or a newer program
// has brought them further, that costs one query and no lock. Otherwise one
// process after the other looks what is left to do, on a connection of its
// own that waits as long as a migration takes.
func migrateMySQL(ctx context.Context, pool *sql.DB, config *mysql.Config, dir fs.FS) error {
	slow := config.Clone()
	slow.ReadTimeout = migrateWithin
	slow.Params["lock_wait_timeout"] = strconv.Itoa(tableLock)
	own, err := mysqlPool(slow, 1)
	if err != nil {
		return err
	}
	defer func() { _ = own.Close() }()
	store, err := goosedb.NewStore(goosedb.DialectMySQL, versionTable)
	if err != nil {
		return fail.Wrap(fail.Internal, err, "read migrations")
	}
	p, err := goose.NewProvider(goose.DialectCustom, own, dir, goose.WithStore(versions{store}),
		goose.WithSessionLocker(lockFor(config.DBName)), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fail.Wrap(fail.Internal, err, "read migrations")
	}
	all := p.ListSources()
	if current, err := upToDate(ctx, pool, all[len(all)-1].Version); err != nil || current {
		return fail.Wrap(fail.Unavailable, err, "look at the ledger's version")
	}
	for _, m := range all {
		// Unlike Up, this makes goose's own table under the lock too.
		if _, err := p.ApplyVersion(ctx, m.Version, true); err != nil && !errors.Is(err, goose.ErrAlreadyApplied) {
			return fail.Wrap(fail.Unavailable, err, "migrate ledger")
		}
	}
	return nil
}

// upToDate reports whether the tables are of the version or a later one.
func upToDate(ctx context.Context, pool *sql.DB, version int64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, operationWithin)
	defer cancel()
	var there sql.NullInt64
	err := pool.QueryRowContext(ctx, `SELECT MAX(version_id) FROM `+versionTable).Scan(&there)
	if number(err) == noSuchTable {
		return false, nil
	}
	return there.Int64 >= version, err
}

// versions is goose's table of what was migrated. A process that is killed
// between making it and its first row leaves it empty: made like this, it is
// completed by the next.
type versions struct{ goosedb.Store }

func (versions) CreateVersionTable(ctx context.Context, db goosedb.DBTxConn) error {
	_, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+versionTable+` (
		id         BIGINT   NOT NULL AUTO_INCREMENT PRIMARY KEY,
		version_id BIGINT   NOT NULL,
		is_applied BOOLEAN  NOT NULL,
		tstamp     DATETIME NULL DEFAULT CURRENT_TIMESTAMP
	) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`)
	return err
}

// locker keeps processes from migrating the same database at the same time.
// The lock goes with the connection: also with that of a process that is
// killed.
type locker struct{ name string }

// lockFor names the lock of a database: names hold for the whole server and
// have at most 64 characters.
func lockFor(database string) locker {
	sum := sha256.Sum256([]byte(database))
	return locker{"alchemist-migrates-" + hex.EncodeToString(sum[:16])}
}

func (l locker) SessionLock(ctx context.Context, conn *sql.Conn) error {
	var got sql.NullInt64
	err := conn.QueryRowContext(ctx, `SELECT GET_LOCK(?, ?)`, l.name, migrateLock).Scan(&got)
	if err == nil && got.Int64 != 1 {
		err = errors.New("another program migrates it")
	}
	return err
}

func (l locker) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, unlockWithin)
	defer cancel()
	_, err := conn.ExecContext(ctx, `DO RELEASE_LOCK(?)`, l.name)
	return err
}
