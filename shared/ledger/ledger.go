// Package ledger keeps users and jobs in a SQL database, and decides: every
// change of a job's state is one compare-and-set here, so that events may
// come late, twice or ten at once. The broker only carries.
//
// All errors have a kind of package fail; one of the database itself is
// fail.Unavailable. After that a change may have been made or not, and may be
// asked for again with the same arguments: twice does no more than once, but
// that a dead letter or a failed login may count twice; where it had been made,
// Retry then answers fail.Exists, and DeleteJob fail.NotFound. Times are UTC,
// kept in milliseconds. A Ledger is safe for concurrent use, by many
// processes.
package ledger

import (
	"context"
	"strings"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Ledger is an open database of users and jobs.
type Ledger struct {
	// Now is the clock; time.Now unless a test puts another.
	Now func() time.Time

	db      *database
	changes changes
}

// Open opens the database at address, whose scheme chooses it.
//
//   - "sqlite:PATH" is a file, made if it is missing. Its tables are brought
//     up to date before Open returns.
//   - "mysql://user:password@host:3306/db" is a server of MySQL 8 or MariaDB.
//     Open does not contact it: the first use does, and brings the tables up
//     to date. Parameters: tls=true (the certificate is verified, against
//     ca=FILE where that is given), tls=preferred or tls=skip-verify (it is
//     not), and connections=N, how many are open at most; 4 unless given.
//
// An address that cannot be right is fail.Invalid; no error repeats it.
func Open(ctx context.Context, address string) (*Ledger, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	var (
		db  *database
		err error
	)
	switch {
	case scheme == "sqlite" && rest != "":
		db, err = openSQLite(ctx, rest)
	case scheme == "mysql":
		db, err = openMySQL(address)
	default:
		err = fail.New(fail.Invalid, "ledger: unknown address, want sqlite:PATH or %s", mysqlForm)
	}
	if err != nil {
		return nil, err
	}
	return &Ledger{Now: time.Now, db: db, changes: changes{next: make(chan struct{})}}, nil
}

// Ready reports whether the database can be used. It prepares what is missing
// there, so that a Ledger becomes ready by itself once its server is.
func (l *Ledger) Ready(ctx context.Context) error { return l.db.ready(ctx) }

// Close closes the database.
func (l *Ledger) Close() error { return l.db.close() }

func (l *Ledger) now() int64 { return l.Now().UnixMilli() }

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
