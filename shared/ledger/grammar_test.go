package ledger

import (
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// TestMySQL8HasAllStatements runs the other tests of this package, but those
// with a server of their own and the one with the longest values, which the log
// cuts short, on one that writes down what it is sent, and asks the grammar of
// MySQL 8 (test/mysql8) about all of it.
func TestMySQL8HasAllStatements(t *testing.T) {
	refused := grammarOfMySQL8(t)
	for _, statement := range []string{"DELETE FROM jobs RETURNING id", "CREATE INDEX IF NOT EXISTS i ON jobs (id)", "SELECT rank FROM jobs"} {
		if refused(statement+"\x00") == "" {
			t.Errorf("nothing is said against %s", statement)
		}
	}
	s := servers.StartMySQL(t)
	log := logOf(t, s)
	tests := exec.CommandContext(t.Context(), os.Args[0], "-test.run=.", "-test.skip=^(TestMySQL8|TestAServerThat|TestTLS|TestTheLongestNames)")
	tests.Env = append(os.Environ(), "MYSQL_URL="+s.URL())
	if out, err := tests.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	all := log()
	for _, part := range []string{"CREATE TABLE IF NOT EXISTS dead_letters", "ALTER TABLE jobs ADD COLUMN options", "UPDATE jobs SET", "GET_LOCK("} {
		if !strings.Contains(all, part) {
			t.Errorf("the log is not whole: there is no %q in it", part)
		}
	}
	if text := refused(all); text != "" {
		t.Error(text)
	}
}

// grammarOfMySQL8 returns a function that says what of the statements, each
// ended by a zero byte, is not in that grammar.
func grammarOfMySQL8(t *testing.T) func(statements string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "mysql8")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-C", "../../test/mysql8", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(statements string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Stdin = strings.NewReader(statements)
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out)
	}
}

// logOf makes a server write down each statement from now on. The function
// that it returns reads them, each ended by a zero byte.
func logOf(t *testing.T, s *servers.Server) func() string {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/mysql"
	config, size, err := mysqlConfig(u.String())
	if err != nil {
		t.Fatal(err)
	}
	pool, err := mysqlPool(config, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	for _, set := range []string{"SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log = 1"} {
		if _, err := pool.ExecContext(t.Context(), set); err != nil {
			t.Fatal(err)
		}
	}
	return func() string {
		rows, err := pool.QueryContext(t.Context(), "SELECT DISTINCT CONVERT(argument USING utf8mb4) FROM general_log WHERE command_type = 'Query'")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		var all strings.Builder
		for rows.Next() {
			var statement string
			if err := rows.Scan(&statement); err != nil {
				t.Fatal(err)
			}
			all.WriteString(statement + "\x00")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return all.String()
	}
}
