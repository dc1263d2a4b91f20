package ledger

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// takesAway is what the programs of the version before, which run beside those
// that have migrated, may not survive.
var takesAway = regexp.MustCompile(`(?i)\b(DROP|RENAME|MODIFY|CHANGE|TRUNCATE|DELETE)\b`)

// added is a column that a migration adds, to the end of its statement.
var added = regexp.MustCompile(`(?i)\bADD COLUMN\b[^;']*`)

// required is a column that an INSERT without it leaves without a value.
var required = regexp.MustCompile(`(?i)\bNOT NULL$`)

func TestMigrationsOnlyAdd(t *testing.T) {
	for _, database := range []string{"sqlite", "mysql"} {
		files := migrationsOf(database)
		names := must(fs.Glob(files, "*.sql"))
		columns := 0
		for _, name := range names {
			up, down, _ := strings.Cut(withoutComments(string(must(fs.ReadFile(files, name)))), "-- +goose Down")
			if what := takesAway.FindString(up); what != "" {
				t.Errorf("%s has a %s", path.Join(database, name), what)
			}
			if !takesAway.MatchString(down) {
				t.Errorf("%s cannot be taken back", path.Join(database, name))
			}
			for _, column := range added.FindAllString(up, -1) {
				columns++
				if column = strings.TrimSpace(column); required.MatchString(column) {
					t.Errorf("%s: %s: want a DEFAULT at its end", path.Join(database, name), column)
				}
			}
		}
		if len(names) < 3 || columns < 2 {
			t.Errorf("%s: only %d migrations with %d new columns were found", database, len(names), columns)
		}
	}
}

// withoutComments drops the comments but those that divide a migration.
func withoutComments(migration string) string {
	var kept strings.Builder
	for line := range strings.Lines(migration) {
		if !strings.HasPrefix(line, "-- +goose") {
			line, _, _ = strings.Cut(line, "--")
		}
		kept.WriteString(strings.TrimRight(line, "\n") + "\n")
	}
	return kept.String()
}
