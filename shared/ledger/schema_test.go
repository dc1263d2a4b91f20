package ledger

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func TestBothDatabasesHaveTheSameTables(t *testing.T) {
	lite, _ := openAt(t, databases["sqlite"](t))
	my, _ := openAt(t, databases["mysql"](t))
	if err := my.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	columns := []string{
		`SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c
			WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE 'goose%' ORDER BY m.name, c.cid`,
		`SELECT table_name, column_name FROM information_schema.columns
			WHERE table_schema = DATABASE() AND table_name NOT LIKE 'goose%' ORDER BY table_name, ordinal_position`,
	}
	indexes := []string{
		`SELECT i.name, c.name FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c
			WHERE m.type = 'table' AND i.origin = 'c' ORDER BY i.name, c.seqno`,
		`SELECT index_name, column_name FROM information_schema.statistics
			WHERE table_schema = DATABASE() AND index_name <> 'PRIMARY' ORDER BY index_name, seq_in_index`,
	}
	for what, query := range map[string][]string{"columns": columns, "indexes": indexes} {
		a, b := pairs(t, lite, query[0]), pairs(t, my, query[1])
		if len(a) < 10 || !slices.Equal(a, b) {
			t.Errorf("%s\nof SQLite: %v\nof MySQL:  %v", what, a, b)
		}
	}
	a, b := versionsOf(t, "sqlite"), versionsOf(t, "mysql")
	if len(a) == 0 || !slices.Equal(a, b) {
		t.Errorf("versions of SQLite %v, of MySQL %v", a, b)
	}
}

func pairs(t *testing.T, l *Ledger, query string) []string {
	t.Helper()
	rows, err := l.db.pool.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			t.Fatal(err)
		}
		all = append(all, a+"."+b)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func versionsOf(t *testing.T, database string) []string {
	t.Helper()
	files, err := migrations.ReadDir("migrations/" + database)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		all = append(all, f.Name())
	}
	return all
}

// migrated is what the table of versions has when all is done.
var migrated = []string{"0.1", "1.1", "2.1", "3.1"}

func TestEightProgramsStartAtOnce(t *testing.T) {
	address := databases["mysql"](t)
	var (
		starts sync.WaitGroup
		ready  [8]error
	)
	for i := range ready {
		l, _ := openAt(t, address)
		starts.Go(func() { ready[i] = l.Ready(t.Context()) })
	}
	starts.Wait()
	for i, err := range ready {
		if err != nil {
			t.Errorf("program %d: %v", i, err)
		}
	}
	l, _ := openAt(t, address)
	works(t, l)
	if got := pairs(t, l, "SELECT version_id, is_applied FROM goose_db_version ORDER BY id"); !slices.Equal(got, migrated) {
		t.Errorf("migrated: %v", got)
	}
}

// works fails the test unless a job can run through its states.
func works(t *testing.T, l *Ledger) {
	t.Helper()
	j := create(t, l, "anna")
	if _, err := l.Claim(t.Context(), j.ID, "h", lease); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Complete(t.Context(), j.ID, "h", results()); err != nil || got.State != job.Done {
		t.Fatalf("completed: %+v, %v", got, err)
	}
}

// TestAMigrationThatWasCutOffIsFinished leaves, by hand, what a process leaves
// that is killed between two statements: each commits by itself.
func TestAMigrationThatWasCutOffIsFinished(t *testing.T) {
	up := statements(t, "00001_users_and_jobs.sql", 5)
	versionTable := `CREATE TABLE goose_db_version (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
		version_id BIGINT NOT NULL, is_applied BOOLEAN NOT NULL, tstamp DATETIME NULL DEFAULT CURRENT_TIMESTAMP)`
	for done := range len(up) + 2 {
		t.Run(fmt.Sprint("after statement ", done), func(t *testing.T) {
			l, _ := openAt(t, databases["mysql"](t))
			for _, statement := range append([]string{versionTable}, up...)[:done] {
				run(t, l, statement)
			}
			if done > 1 {
				run(t, l, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)")
			}
			works(t, l)
		})
	}
}

// statements are those of a migration of MySQL, as many as are given.
func statements(t *testing.T, file string, n int) []string {
	t.Helper()
	_, text, _ := strings.Cut(string(must(migrations.ReadFile("migrations/mysql/"+file))), "-- +goose Up\n")
	text, _, _ = strings.Cut(text, "-- +goose Down\n")
	all := strings.Split(text, ";\n")
	if all = all[:len(all)-1]; len(all) != n {
		t.Fatalf("%s has %d statements", file, len(all))
	}
	return all
}

// withoutAdministration takes back what migration 3 has done.
func withoutAdministration(t *testing.T, l *Ledger) {
	t.Helper()
	run(t, l, "DROP TABLE dead_letters")
	run(t, l, "ALTER TABLE users DROP COLUMN disabled")
	run(t, l, "DELETE FROM goose_db_version WHERE version_id = 3")
}

// TestAdministrationIsFinished leaves what a process leaves that is killed
// after each statement of the migration.
func TestAdministrationIsFinished(t *testing.T) {
	for name, undo := range map[string]string{
		"after the column": "DROP TABLE dead_letters", "after the table": "DO 0",
	} {
		t.Run(name, func(t *testing.T) {
			address := databases["mysql"](t)
			killed, _ := openAt(t, address)
			works(t, killed)
			run(t, killed, undo)
			run(t, killed, "DELETE FROM goose_db_version WHERE version_id = 3")
			next, _ := openAt(t, address)
			works(t, next)
			if got := must(next.Letters(t.Context(), "", 1)); len(got) != 0 {
				t.Errorf("letters: %+v", got)
			}
			if got := pairs(t, next, "SELECT version_id, is_applied FROM goose_db_version ORDER BY id"); !slices.Equal(got, migrated) {
				t.Errorf("migrated: %v", got)
			}
		})
	}
}

// TestUsersOfAProgramWithoutAdministration has one from before the migration,
// and one that the program of the version before wrote after it.
func TestUsersOfAProgramWithoutAdministration(t *testing.T) {
	for name, address := range databases {
		t.Run(name, func(t *testing.T) {
			there := address(t)
			l, _ := openAt(t, there)
			before := must(l.CreateUser(t.Context(), user.User{Email: "anna@example.com", PasswordHash: "x", Admin: true}))
			withoutAdministration(t, l)
			l, _ = openAt(t, there)
			if err := l.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			run(t, l, "INSERT INTO users (id, email, password_hash, admin, created_at) VALUES ('later', 'ben@example.com', 'x', 0, 0)")
			all := must(l.Users(t.Context(), "", 10))
			if len(all) != 2 || all[0] != before || all[1].ID != "later" || all[1].Disabled {
				t.Errorf("users: %+v", all)
			}
		})
	}
}

// TestOptionsCanBeAddedAgain leaves what a process leaves that is killed after
// it has added the column, and before it has noted that.
func TestOptionsCanBeAddedAgain(t *testing.T) {
	address := databases["mysql"](t)
	killed, _ := openAt(t, address)
	works(t, killed)
	run(t, killed, "DELETE FROM goose_db_version WHERE version_id >= 2")
	next, _ := openAt(t, address)
	works(t, next)
	if got := pairs(t, next, "SELECT version_id, is_applied FROM goose_db_version ORDER BY id"); !slices.Equal(got, migrated) {
		t.Errorf("migrated: %v", got)
	}
}

// TestJobsOfAProgramWithoutOptions has one from before the migration, and one
// that the program of the version before wrote after it.
func TestJobsOfAProgramWithoutOptions(t *testing.T) {
	for name, address := range databases {
		t.Run(name, func(t *testing.T) {
			there := address(t)
			l, _ := openAt(t, there)
			works(t, l)
			withoutAdministration(t, l)
			run(t, l, "ALTER TABLE jobs DROP COLUMN options")
			run(t, l, "DELETE FROM goose_db_version WHERE version_id = 2")
			l, _ = openAt(t, there)
			const columns = `owner, name, state, progress, error, source, bytes, run, attempts, trace, created_at, updated_at, ended_at, holder, lease_until, due_at`
			if err := l.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			run(t, l, "INSERT INTO jobs (id, "+columns+") SELECT 'later', "+columns+" FROM jobs")
			all := must(l.Jobs(t.Context(), JobFilter{Owner: "anna"}, "", 10))
			if len(all) != 2 || !reflect.DeepEqual(all[0].Options, options.Options{}) || !reflect.DeepEqual(all[1].Options, options.Options{}) {
				t.Errorf("jobs: %+v", all)
			}
			works(t, l)
		})
	}
}

const helperVariable = "LEDGER_TEST_HELPER"

// stuck is a migration that does not end: killed in its middle, it has made
// one table of two.
var stuck = fstest.MapFS{"00001_stuck.sql": {Data: []byte("-- +goose NO TRANSACTION\n-- +goose Up\n" +
	"CREATE TABLE IF NOT EXISTS half (id INTEGER);\nSELECT SLEEP(600);\nCREATE TABLE IF NOT EXISTS whole (id INTEGER);\n")}}

// runHelper is the process that TestAKilledMigratorHoldsNobodyUp kills.
func runHelper(address string) int {
	config, _, err := mysqlConfig(address)
	if err == nil {
		err = migrateMySQL(context.Background(), must(mysqlPool(config, 1)), config, stuck)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func TestAKilledMigratorHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	address := databases["mysql"](t)
	l, _ := openAt(t, address)
	config, _, _ := mysqlConfig(address)
	helper := exec.CommandContext(t.Context(), must(os.Executable())) // #nosec G204 -- this test itself
	helper.Env = append(os.Environ(), helperVariable+"="+address)
	helper.Stderr = os.Stderr
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, 30*time.Second, "the helper is in mid-migration", func() bool {
		var n int
		err := l.db.pool.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM information_schema.tables
			WHERE table_schema = DATABASE() AND table_name = 'half' AND IS_USED_LOCK(?) IS NOT NULL`, lockFor(config.DBName).name).Scan(&n)
		return err == nil && n == 1
	})
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait()
	within(t, 30*time.Second, "the ledger is ready", func() bool { return l.Ready(t.Context()) == nil })
	works(t, l)
}

// within polls until what holds.
func within(t *testing.T, most time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(most); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not so after %v: %s", most, what)
		}
	}
}

func TestAnOlderProgramWorksOnANewerSchema(t *testing.T) {
	address := databases["mysql"](t)
	newer, _ := openAt(t, address)
	works(t, newer)
	run(t, newer, "ALTER TABLE jobs ADD COLUMN colour VARCHAR(20) NOT NULL DEFAULT 'red'")
	run(t, newer, "ALTER TABLE users ADD COLUMN colour VARCHAR(20) NOT NULL DEFAULT 'red'")
	run(t, newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (4, 1)")
	older, _ := openAt(t, address)
	works(t, older)
	if got := pairs(t, older, "SELECT colour, state FROM jobs ORDER BY id"); !reflect.DeepEqual(got, []string{"red.done", "red.done"}) {
		t.Errorf("jobs: %v", got)
	}
}

func TestTablesThatAreThereCostOneQueryAndNoLock(t *testing.T) {
	t.Parallel()
	s := servers.StartMySQL(t)
	first, _ := openAt(t, s.URL())
	works(t, first)
	config, _, _ := mysqlConfig(s.URL())
	holder := must(first.db.pool.Conn(t.Context()))
	defer func() { _ = holder.Close() }()
	if err := lockFor(config.DBName).SessionLock(t.Context(), holder); err != nil {
		t.Fatal(err)
	}
	second, _ := openAt(t, s.URL()+"?connections=1")
	before := questions(t, first)
	if err := second.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	// To connect is two, the version one, and so is asking for this count.
	if n := questions(t, first) - before; n > 4 {
		t.Errorf("%d statements", n)
	}
}

// questions is how many statements the server has had.
func questions(t *testing.T, l *Ledger) int {
	t.Helper()
	var name string
	var n int
	if err := l.db.pool.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE 'Questions'").Scan(&name, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTablesThatWereLostAreMadeAnew(t *testing.T) {
	l, _ := openAt(t, databases["mysql"](t))
	works(t, l)
	for _, table := range []string{"users", "jobs", "results", "notices", "login_failures", "dead_letters", versionTable} {
		run(t, l, "DROP TABLE "+table)
	}
	works(t, l)
}
