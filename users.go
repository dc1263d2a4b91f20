package alchemist

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
)

// CreateAdmin makes an administrator with ADMIN_EMAIL and ADMIN_PASSWORD in
// the ledger of LEDGER_URL, whoever else is there, and prints the account to
// out. A password that it has to choose is printed too, this once. Where the
// account is an administrator already, it says so and changes nothing; an
// account that is none is fail.Exists, and not changed either. The system may
// be running meanwhile.
func CreateAdmin(ctx context.Context, c config.Config, out io.Writer) error {
	return withLedger(ctx, c, func(l *ledger.Ledger) error {
		a := firstAdmin{config: c, ledger: l, out: out}
		if err := a.choose(ctx); err != nil {
			return err
		}
		_, err := l.CreateUser(ctx, a.account)
		if err == nil {
			return a.announce()
		}
		if !fail.Is(err, fail.Exists) {
			return err
		}
		there, err := l.UserByEmail(ctx, a.account.Email)
		if err != nil {
			return err
		}
		if others, err := l.HasAdmin(ctx); err != nil || others && !there.Admin {
			_, _ = fmt.Fprintln(out, "There are administrators; nothing was changed.")
			return err
		}
		if !there.Admin {
			return fail.New(fail.Exists, "ADMIN_EMAIL: %s has an account that is no administrator; nothing was changed", there.Email)
		}
		_, err = fmt.Fprintf(out, "%s is an administrator already; nothing was changed.\n", there.Email)
		return fail.Wrap(fail.Internal, err, "print the account")
	})
}

// Import counts the rows of an import.
type Import struct {
	Created int // accounts that were made
	There   int // rows whose address had an account already
	Refused int // rows that cannot be an account
}

// String tells the counts in one line.
func (i Import) String() string {
	return fmt.Sprintf("%d rows: %d accounts made, %d were there already, %d refused", i.Created+i.There+i.Refused, i.Created, i.There, i.Refused)
}

// ImportUsers makes an account in the ledger of LEDGER_URL for each row of the
// original system's table user in the database of IMPORT_URL, or that of
// LEDGER_URL. The passwords stay as they are, however short, but are kept as
// hashes. Accounts that are there already and the table itself are not
// changed, so that it may be run again, as after an error.
//
// A row that cannot be an account (no address, an address of an earlier row, an
// empty password) is named on progress by its id, with the reason, but neither
// its address nor its password.
func ImportUsers(ctx context.Context, c config.Config, progress io.Writer) (Import, error) {
	from := c.ImportURL
	if from == "" {
		from = c.LedgerURL
	}
	if !strings.HasPrefix(from, "mysql:") {
		return Import{}, fail.New(fail.Invalid, "IMPORT_URL: want mysql://user:password@host:3306/db, where the table user is; found nothing")
	}
	i := importer{hasher: user.NewHasher(user.HasherOptions{}), progress: progress, rows: map[string]int64{}}
	err := withLedger(ctx, c, func(l *ledger.Ledger) error {
		i.ledger = l
		err := ledger.OriginalUsers(ctx, from, func(page []ledger.OriginalUser) error { return i.page(ctx, page) })
		return fail.Wrap(fail.KindOf(err), err, "IMPORT_URL")
	})
	return i.done, err
}

// withLedger opens the ledger of LEDGER_URL for do.
func withLedger(ctx context.Context, c config.Config, do func(*ledger.Ledger) error) (err error) {
	if strings.HasPrefix(c.LedgerURL, "sqlite:") {
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return fail.Wrap(fail.Unavailable, err, "DATA_DIR: make the folder")
		}
	}
	o := backend.New(ctx)
	defer func() {
		if closed := o.Close(); err == nil {
			err = closed
		}
	}()
	l := o.Ledger(c.LedgerURL)
	if err := o.Err(); err != nil {
		return err
	}
	if err := l.Ready(ctx); err != nil {
		return fail.Wrap(fail.KindOf(err), err, "LEDGER_URL")
	}
	return do(l)
}

// importers is how many rows are worked on at once; the hasher lets fewer of
// them hash.
const importers = 8

type importer struct {
	ledger   *ledger.Ledger
	hasher   *user.Hasher
	progress io.Writer
	rows     map[string]int64 // the row of each address so far
	done     Import
}

// page takes the rows of a page, several at once, and reports them in order.
func (i *importer) page(ctx context.Context, page []ledger.OriginalUser) error {
	outcomes := make([]error, len(page))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turns := make(chan struct{}, importers)
	var all sync.WaitGroup
	for n, row := range page {
		if outcomes[n] = i.check(&row); outcomes[n] != nil {
			continue
		}
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			outcomes[n] = i.create(ctx, row)
			if err := outcomes[n]; err != nil && !fail.Is(err, fail.Exists) && !fail.Is(err, fail.Invalid) {
				cancel(err)
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for n, err := range outcomes {
		switch {
		case err == nil:
			i.done.Created++
		case fail.Is(err, fail.Exists):
			i.done.There++
		default:
			i.done.Refused++
			_, _ = fmt.Fprintf(i.progress, "row %d refused: %s\n", page[n].ID, fail.Detail(err))
		}
	}
	_, _ = fmt.Fprintf(i.progress, "up to row %d: %v\n", page[len(page)-1].ID, i.done)
	return nil
}

// check normalises the address of a row and refuses one that is none or that
// an earlier row has.
func (i *importer) check(row *ledger.OriginalUser) error {
	row.Email = user.NormalizeEmail(row.Email)
	if err := user.CheckEmail(row.Email); err != nil {
		return err
	}
	if first, there := i.rows[row.Email]; there {
		return fail.New(fail.Invalid, "It has the address of row %d.", first)
	}
	i.rows[row.Email] = row.ID
	return nil
}

// create makes the account of a row; fail.Exists where its address has one.
func (i *importer) create(ctx context.Context, row ledger.OriginalUser) error {
	if err := user.CheckOldPassword(row.Password); err != nil {
		return err
	}
	if _, err := i.ledger.UserByEmail(ctx, row.Email); err == nil {
		return fail.New(fail.Exists, "There is an account with this address already.")
	} else if !fail.Is(err, fail.NotFound) {
		return err
	}
	hash, err := i.hasher.HashOld(ctx, row.Password)
	if err != nil {
		return err
	}
	_, err = i.ledger.CreateUser(ctx, user.User{Email: row.Email, PasswordHash: hash})
	return err
}
