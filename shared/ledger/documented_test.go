package ledger

import (
	"database/sql"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
	"github.com/opengundumstyle/audio-alchemist/test/docs"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

const operations = "docs/operations.md"

// documented is a server that was set up as docs/operations.md says, by its
// own statements.
type documented struct {
	administrator *sql.DB
	login         *url.Userinfo // of the administrator
	host          string
}

// setUp sets one up, with the empty database "alchemist".
func setUp(t *testing.T) *documented {
	t.Helper()
	u := must(url.Parse(servers.StartMySQL(t).URL()))
	d := &documented{login: u.User, host: u.Host}
	u.Path = "/mysql"
	config, _, err := mysqlConfig(u.String())
	if err != nil {
		t.Fatal(err)
	}
	d.administrator = must(mysqlPool(config, 1))
	t.Cleanup(func() { _ = d.administrator.Close() })
	d.do(t, "DROP DATABASE alchemist") // the one that the server begins with
	d.do(t, accountStatements(t)...)
	return d
}

// accountStatements make the database, the account, and its rights.
func accountStatements(t *testing.T) []string {
	t.Helper()
	all := strings.Split(strings.TrimSpace(strings.Join(docs.Blocks(t, operations, "URLs and accounts", "sql"), "")), "\n")
	if len(all) != 3 {
		t.Fatalf("%d statements: %q", len(all), all)
	}
	return all
}

// do runs statements as the administrator.
func (d *documented) do(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := d.administrator.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// open opens the ledger with the account that is documented.
func (d *documented) open(t *testing.T) *Ledger {
	t.Helper()
	l, _ := openAt(t, "mysql://app:SECRET@"+d.host+"/alchemist")
	return l
}

// shell runs the commands of a chapter that begin with a word, against the
// server, in a folder.
func (d *documented) shell(t *testing.T, dir, chapter, begin string) {
	t.Helper()
	host, port, err := net.SplitHostPort(d.host)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := d.login.Password()
	at := " -h " + host + " -P " + port
	there := strings.NewReplacer(
		" -h db.example.org -u app -p ", at+" -u app -pSECRET ",
		" -h db.example.org -u root -p ", at+" -u "+d.login.Username()+" -p"+password+" ")
	ran := 0
	for _, block := range docs.Blocks(t, operations, chapter, "sh") {
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, begin+" ") {
				continue
			}
			ran++
			// MariaDB's programs may have none but their own names.
			cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c",
				`for p in mysql:mariadb mysqldump:mariadb-dump; do command -v ${p%:*} >/dev/null || eval "${p%:*}() { ${p#*:} \"\$@\"; }"; done`+"\n"+there.Replace(line)) // #nosec G204 -- our own document
			cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
		}
	}
	if ran != 1 {
		t.Fatalf("%d commands of %s under %q, want one", ran, begin, chapter)
	}
}

// TestTheDocumentedAccountIsEnough makes the tables with it, and does at least
// once what takes a right of its own.
func TestTheDocumentedAccountIsEnough(t *testing.T) {
	l := setUp(t).open(t)
	works(t, l)
	if got := pairs(t, l, "SELECT version_id, is_applied FROM goose_db_version ORDER BY id"); !slices.Equal(got, migrated) {
		t.Errorf("migrated: %v", got)
	}
	must(l.CreateUser(t.Context(), user.User{Email: "anna@example.org", PasswordHash: "x", Admin: true}))
	failed := givenUp(t, l)
	if kept := must(l.KeepLetter(t.Context(), letterOf(failed, UploadedEvent(failed)), 0)); !kept {
		t.Error("the letter is not kept")
	}
	if got := must(l.Retry(t.Context(), failed.ID)); got.State != job.Received {
		t.Errorf("retried: %+v", got)
	}
	must(l.DeleteJob(t.Context(), failed.ID))
	if all := must(l.Letters(t.Context(), "", 1)); len(all) != 0 {
		t.Errorf("letters: %+v", all)
	}
}

// TestImportTakesNoMoreThanIsDocumented reads the original system's users by
// the right that docs/operations.md names.
func TestImportTakesNoMoreThanIsDocumented(t *testing.T) {
	d := setUp(t)
	d.do(t, "CREATE DATABASE auth", "CREATE TABLE auth.user (id INT PRIMARY KEY, email VARCHAR(255), password VARCHAR(255))",
		"INSERT INTO auth.user VALUES (1, 'anna@example.org', 'p')", "CREATE USER 'reader'@'%' IDENTIFIED BY 'SECRET'",
		"GRANT SELECT ON auth.user TO 'reader'@'%'")
	var all []OriginalUser
	err := OriginalUsers(t.Context(), "mysql://reader:SECRET@"+d.host+"/auth", func(page []OriginalUser) error {
		all = append(all, page...)
		return nil
	})
	if err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

// TestABackupIsRestored loses the database after a backup, and what came after
// that.
func TestABackupIsRestored(t *testing.T) {
	const chapter = "Backup and restore on servers"
	d, dir := setUp(t), t.TempDir()
	l := d.open(t)
	anna := must(l.CreateUser(t.Context(), user.User{Email: "füße@example.org", PasswordHash: "$argon2id$\\'\"", Admin: true}))
	works(t, l)
	queued, failed := create(t, l, "anna"), givenUp(t, l)
	must(l.KeepLetter(t.Context(), letterOf(failed, UploadedEvent(failed)), 0))
	before, letters := must(l.Jobs(t.Context(), JobFilter{Owner: "anna"}, "", 10)), must(l.Letters(t.Context(), "", 10))
	d.shell(t, dir, chapter, "mysqldump")
	create(t, l, "anna") // is lost
	d.do(t, "DROP DATABASE alchemist", accountStatements(t)[0])
	d.shell(t, dir, chapter, "mysql")

	l = d.open(t)
	if got := must(l.Jobs(t.Context(), JobFilter{Owner: "anna"}, "", 10)); len(got) != 3 || !reflect.DeepEqual(got, before) {
		t.Errorf("jobs\n%+v, were\n%+v", got, before)
	}
	if got := must(l.UserByID(t.Context(), anna.ID)); got != anna {
		t.Errorf("user %+v, was %+v", got, anna)
	}
	if got := must(l.Letters(t.Context(), "", 10)); len(got) != 1 || got[0].ID != letters[0].ID || got[0].Event.String() != letters[0].Event.String() {
		t.Errorf("letters %+v, were %+v", got, letters)
	}
	must(l.Claim(t.Context(), queued.ID, "h", lease))
	if got := must(l.Complete(t.Context(), queued.ID, "h", results())); got.State != job.Done {
		t.Errorf("completed: %+v", got)
	}
	works(t, l)
}

// TestAccountsMoveFromTheEmbeddedLedger moves them while that is in use.
func TestAccountsMoveFromTheEmbeddedLedger(t *testing.T) {
	const chapter = "Moving from the embedded stores"
	d, dir := setUp(t), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	old, _ := openAt(t, "sqlite:"+filepath.Join(dir, "data", "ledger.db"))
	for _, u := range []user.User{
		{Email: "anna@example.org", PasswordHash: "$argon2id$v=19$m=47104,t=1,p=1$c2FsdA$aGFzaA", Admin: true},
		{Email: "füße@example.org", PasswordHash: "x", Disabled: true}, {Email: "o'neill@例え.jp", PasswordHash: "y"},
	} {
		must(old.CreateUser(t.Context(), u))
	}
	l := d.open(t)
	there := must(l.CreateUser(t.Context(), user.User{Email: "first@example.org", PasswordHash: "z", Admin: true}))
	d.shell(t, dir, chapter, "sqlite3")
	d.shell(t, dir, chapter, "mysql")

	want := must(old.Users(t.Context(), "", 10))
	got := slices.DeleteFunc(must(l.Users(t.Context(), "", 10)), func(u user.User) bool { return u == there })
	if len(want) != 3 || !reflect.DeepEqual(got, want) {
		t.Errorf("users\n%+v, want\n%+v", got, want)
	}
}
