package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Numbers of errors of MySQL and MariaDB.
const (
	tooManyConnections = 1040
	nodeNotReady       = 1047 // of a Galera cluster
	shutdown           = 1053
	duplicateEntry     = 1062
	noSuchTable        = 1146
	lockWaitTimeout    = 1205
	tooManyOfUser      = 1203
	deadlock           = 1213
	readOnlyOption     = 1290 // as a server is that another has taken over from
	queryInterrupted   = 1317
	readOnlyMode       = 1836
	changedSinceRead   = 1020 // MariaDB's snapshot isolation
	connectionKilled   = 1927
)

// rejected are the errors after which it is certain that nothing was done,
// and after which the same may succeed.
var rejected = []uint16{
	tooManyConnections, nodeNotReady, lockWaitTimeout, tooManyOfUser, deadlock, readOnlyOption, readOnlyMode, changedSinceRead,
}

// cutOff are errors that may pass as well; of a commit they leave open whether
// it took place.
var cutOff = []uint16{shutdown, queryInterrupted, connectionKilled, noSuchTable}

// passing reports whether the same may succeed in a moment.
func passing(err error) bool {
	if n := number(err); n != 0 {
		return slices.Contains(rejected, n) || slices.Contains(cutOff, n)
	}
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &network)
}

// refused reports whether the error of a commit says that it did not take
// place, and the same may succeed in a moment.
func refused(err error) bool { return slices.Contains(rejected, number(err)) }

// duplicate reports whether a row with this key is there already.
func duplicate(err error) bool {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
	}
	return number(err) == duplicateEntry
}

// number is that of a server's error, 0 for any other.
func number(err error) uint16 {
	if e := (*mysql.MySQLError)(nil); errors.As(err, &e) {
		return e.Number
	}
	return 0
}
