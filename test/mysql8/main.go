// Command mysql8 reads statements, each ended by a zero byte, and writes those
// that are not in the grammar of MySQL 8, with the reason. It exits with 1 if
// there is one. See README.md for what it cannot tell.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	_ "github.com/pingcap/tidb/pkg/parser/test_driver" // values of literals
)

const (
	longest = 16 << 20 // what a statement may have, in bytes
	shown   = 1000     // of one that is refused, and of the reason, in characters
)

func main() {
	if err := check(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mysql8:", err)
		os.Exit(1)
	}
}

// check reads all statements and writes those that are refused.
func check(r io.Reader, w io.Writer) error {
	p := parser.New()
	p.SetSQLMode(mysql.ModeStrictAllTables | mysql.ModeStrictTransTables | mysql.ModeNoZeroDate | mysql.ModeNoZeroInDate |
		mysql.ModeErrorForDivisionByZero | mysql.ModeNoEngineSubstitution | mysql.ModeOnlyFullGroupBy)
	statements := bufio.NewScanner(r)
	statements.Buffer(nil, longest)
	statements.Split(zeroEnded)
	refused := 0
	for statements.Scan() {
		if err := refusal(p, statements.Text()); err != nil {
			refused++
			fmt.Fprintf(w, "%.*s\n\t%.*s\n", shown, statements.Text(), shown, err)
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d statements are not in the grammar of MySQL 8", refused)
	}
	return statements.Err()
}

func zeroEnded(data []byte, atEnd bool) (int, []byte, error) {
	if end := bytes.IndexByte(data, 0); end >= 0 {
		return end + 1, data[:end], nil
	}
	if atEnd && len(data) > 0 {
		return 0, nil, errors.New("the last statement is not ended")
	}
	return 0, nil, nil
}

// refusal says why a statement is none of MySQL's; nil if it is.
func refusal(p *parser.Parser, statement string) error {
	nodes, warnings, err := p.ParseSQL(statement, parser.CharsetConnection("utf8mb4"), parser.CollationConnection("utf8mb4_bin"))
	if err = errors.Join(append(warnings, err)...); err != nil {
		return err
	}
	for _, n := range nodes {
		var v conditions
		n.Accept(&v)
		if len(v) > 0 {
			return fmt.Errorf("MySQL takes no condition for %s", strings.Join(v, ", "))
		}
	}
	return nil
}

// conditions are the IF EXISTS and IF NOT EXISTS of what MySQL, unlike TiDB
// and MariaDB, makes or drops without a condition only.
type conditions []string

func (c *conditions) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.AlterTableSpec:
		if n.IfExists || n.IfNotExists {
			*c = append(*c, "a part of ALTER TABLE")
		}
	case *ast.CreateIndexStmt:
		if n.IfNotExists {
			*c = append(*c, "CREATE INDEX")
		}
	case *ast.DropIndexStmt:
		if n.IfExists {
			*c = append(*c, "DROP INDEX")
		}
	}
	return n, false
}

func (c *conditions) Leave(n ast.Node) (ast.Node, bool) { return n, true }
