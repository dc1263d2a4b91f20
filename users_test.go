package alchemist_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/user"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// answer is what a command of the program said.
type answer struct {
	code     int
	out, err string
}

// command runs the program with a subcommand to its end, in an environment of
// its own.
func command(t *testing.T, env []string, args ...string) answer {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = t.TempDir(), append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), log.String()}
}

func TestUsage(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		code int
	}{
		"help":                {[]string{"help"}, 0},
		"unknown":             {[]string{"convert"}, 2},
		"too many":            {[]string{"create-admin", "anna@example.org"}, 2},
		"options are unknown": {[]string{"-port=1"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			a := command(t, nil, tt.args...)
			shown := a.out
			if tt.code != 0 {
				shown = a.err
			}
			if a.code != tt.code || !strings.Contains(shown, "import-users") {
				t.Errorf("%+v, want exit code %d and the usage", a, tt.code)
			}
		})
	}
}

func TestCreateAdmin(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		env := append([]string{"DATA_DIR=" + p.data}, p.env...)
		if len(p.env) == 0 {
			env[0] = "DATA_DIR=" + filepath.Join(p.data, "not", "yet") // is made
			p = embeddedIn(filepath.Join(p.data, "not", "yet"))
		}
		chosen := command(t, append(env, "ADMIN_EMAIL= Anna@Example.org "), "create-admin")
		m := regexp.MustCompile(`email +(\S+)\s+password +(\S+)`).FindStringSubmatch(chosen.out)
		if chosen.code != 0 || m == nil || m[1] != "anna@example.org" {
			t.Fatalf("%+v", chosen)
		}
		if again := command(t, append(env, "ADMIN_EMAIL=anna@example.org"), "create-admin"); again.code != 0 ||
			!strings.Contains(again.out, "administrator already") || strings.Contains(again.out, "password  ") {
			t.Errorf("again: %+v", again)
		}
		if bad := command(t, append(env, "ADMIN_PASSWORD=short"), "create-admin"); bad.code != 1 || !strings.Contains(bad.err, "ADMIN_PASSWORD: ") {
			t.Errorf("a short password: %+v", bad)
		}

		// A start makes none beside her, but the command does.
		s := start(t, p)
		if first := s.out.String(); first != "" {
			t.Errorf("the start prints %q", first)
		}
		second := command(t, append(env, "ADMIN_EMAIL=ben@example.org", "ADMIN_PASSWORD=correct horse"), "create-admin")
		if second.code != 0 || strings.Contains(second.out, "correct horse") {
			t.Errorf("while the system runs: %+v", second)
		}
		for email, password := range map[string]string{m[1]: m[2], "ben@example.org": "correct horse"} {
			s.login(t, email, password)
		}
	})
}

func TestCreateAdminLeavesAnAccountThatIsNone(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), "sqlite:"+filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, err := l.CreateUser(t.Context(), user.User{Email: "anna@example.org", PasswordHash: "x"}); err != nil {
		t.Fatal(err)
	}
	a := command(t, []string{"DATA_DIR=" + dir, "ADMIN_EMAIL=anna@example.org"}, "create-admin")
	if a.code != 1 || a.out != "" || !strings.Contains(a.err, "no administrator") {
		t.Errorf("%+v", a)
	}
	if has, err := l.HasAdmin(t.Context()); err != nil || has {
		t.Errorf("there is an administrator: %v, %v", has, err)
	}
	// With another one there is nothing that is missing.
	if _, err := l.CreateUser(t.Context(), user.User{Email: "ben@example.org", PasswordHash: "x", Admin: true}); err != nil {
		t.Fatal(err)
	}
	a = command(t, []string{"DATA_DIR=" + dir, "ADMIN_EMAIL=anna@example.org"}, "create-admin")
	if a.code != 0 || a.err != "" || !strings.Contains(a.out, "There are administrators") {
		t.Errorf("beside another: %+v", a)
	}
}

// original makes the table of the original system in the database at the
// address, as its own script does.
func original(t *testing.T, address, charset string) *sql.DB {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName, c.Logger = "tcp", u.Host, u.User.Username(), strings.Trim(u.Path, "/"), &mysql.NopLogger{}
	c.Passwd, _ = u.User.Password()
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE user (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, email VARCHAR(255) NOT NULL UNIQUE, password VARCHAR(255) NOT NULL) CHARACTER SET "+charset); err != nil {
		t.Fatal(err)
	}
	return db
}

func insert(t *testing.T, db *sql.DB, rows ...[2]string) {
	t.Helper()
	for _, row := range rows {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO user (email, password) VALUES (?, ?)", row[0], row[1]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImportUsers(t *testing.T) {
	p := onServers(t)
	address := ""
	for _, v := range p.env {
		if a, ok := strings.CutPrefix(v, "LEDGER_URL="); ok {
			address = a
		}
	}
	db := original(t, address, "utf8mb4")
	insert(t, db,
		[2]string{"georgio@email.com", "Admin123"}, [2]string{" Anna@Example.ORG", "x"}, [2]string{"füße@example.org", "пароль 東京"},
		[2]string{"no address", "hidden one"}, [2]string{"ben@example.org", ""}, [2]string{"anna@example.org", "hidden two"},
		[2]string{"long@example.org", strings.Repeat("p", 255)}, [2]string{"admin@example.com", "hidden three"},
	)
	s := start(t, p) // it makes the account of admin@example.com
	before := rows(t, db)
	env := append([]string{"DATA_DIR=" + p.data}, p.env...)

	first := command(t, env, "import-users")
	if first.code != 1 || strings.TrimSpace(first.out) != "8 rows: 4 accounts made, 1 were there already, 3 refused" {
		t.Errorf("%+v", first)
	}
	for _, line := range []string{
		"row 4 refused: This is not an email address.", "row 5 refused: The password is empty.", "row 6 refused: It has the address of row 2.",
	} {
		if !strings.Contains(first.err, line+"\n") {
			t.Errorf("no line %q in\n%s", line, first.err)
		}
	}
	if strings.Contains(first.out+first.err, "hidden") || strings.Contains(strings.ToLower(first.out+first.err), "example.org") {
		t.Errorf("an address or a password is in\n%s", first.err)
	}

	for email, password := range map[string]string{
		"georgio@email.com": "Admin123", "Anna@example.org": "x", "füße@example.org": "пароль 東京",
		"long@example.org": strings.Repeat("p", 255), adminEmail: adminPassword,
	} {
		s.login(t, email, password)
	}

	if again := command(t, env, "import-users"); again.code != 1 || strings.TrimSpace(again.out) != "8 rows: 0 accounts made, 5 were there already, 3 refused" {
		t.Errorf("again: %+v", again)
	}
	if after := rows(t, db); after != before {
		t.Errorf("the table was\n%s\nand is\n%s", before, after)
	}
	var stored string
	if err := db.QueryRowContext(t.Context(), "SELECT password_hash FROM users WHERE email = 'anna@example.org'").Scan(&stored); err != nil ||
		!strings.HasPrefix(stored, "$argon2id$") {
		t.Errorf("stored %q, %v", stored, err)
	}
}

// rows returns the checksum and the structure of the original table.
func rows(t *testing.T, db *sql.DB) string {
	t.Helper()
	var name, sum, create string
	if err := db.QueryRowContext(t.Context(), "CHECKSUM TABLE user").Scan(&name, &sum); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), "SHOW CREATE TABLE user").Scan(&name, &create); err != nil {
		t.Fatal(err)
	}
	return sum + "\n" + create
}

func TestImportFromElsewhere(t *testing.T) {
	from := servers.MySQL(t)
	insert(t, original(t, from, "latin1"), [2]string{"anna@example.org", "Füße"})
	p := embedded(t)
	a := command(t, []string{"DATA_DIR=" + p.data, "IMPORT_URL=" + from}, "import-users")
	if a.code != 0 || !strings.HasPrefix(a.out, "1 rows: 1 accounts made,") {
		t.Fatalf("%+v", a)
	}
	start(t, p).login(t, "anna@example.org", "Füße")
}

func TestImportFromNowhere(t *testing.T) {
	for name, tt := range map[string]struct{ address, want string }{
		"no address":  {"", "IMPORT_URL: want mysql://"},
		"no database": {"mysql://anna:hunter2@127.0.0.1", "IMPORT_URL: "},
		"no server":   {"mysql://anna:hunter2@127.0.0.1:1/db", "IMPORT_URL: read the original system's users: "},
		"no table":    {servers.MySQL(t), "IMPORT_URL: read the original system's users: "},
	} {
		t.Run(name, func(t *testing.T) {
			a := command(t, []string{"DATA_DIR=" + t.TempDir(), "IMPORT_URL=" + tt.address}, "import-users")
			if a.code != 1 || !strings.Contains(a.err, tt.want) || strings.Contains(a.err, "hunter2") {
				t.Errorf("%+v, want %q", a, tt.want)
			}
		})
	}
}
