package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

var formats = []string{"table", "json", "yaml"}

// format is the flag -o of a command that shows something.
type format struct{ name string }

func (f *format) add(c *cobra.Command) {
	c.Flags().VarP(f, "output", "o", "how it is shown: table, json or yaml")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// Set implements pflag.Value.
func (f *format) Set(v string) error {
	if !slices.Contains(formats, v) {
		return fmt.Errorf("want %s", strings.Join(formats, ", "))
	}
	f.name = v
	return nil
}

// String implements pflag.Value.
func (f *format) String() string { return first(f.name, "table") }

// Type implements pflag.Value.
func (f *format) Type() string { return "format" }

// table is what people see of something: a row of headings and the rows.
type table [][]string

// show prints v in the format; the table is made only if it is asked for.
func (f *format) show(to io.Writer, v any, rows func() table) error {
	var err error
	switch f.String() {
	case "json":
		e := json.NewEncoder(to)
		e.SetEscapeHTML(false) // so that links can be taken out as they are
		e.SetIndent("", "  ")
		err = e.Encode(v)
	case "yaml":
		var text []byte
		if text, err = yaml.Marshal(v); err == nil {
			_, err = to.Write(text)
		}
	default:
		return rows().write(to)
	}
	return fail.Wrap(fail.Internal, err, "print")
}

func (t table) write(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	for _, row := range t {
		for i, cell := range row {
			row[i] = plain(cell)
		}
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return fail.Wrap(fail.Internal, err, "print")
		}
	}
	return fail.Wrap(fail.Internal, w.Flush(), "print")
}

// plain is a text that does nothing to a terminal or a table; - for none.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return first(strings.TrimRight(s, " "), "-")
}

// when is a time as a table shows it.
func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// age is a number of seconds as a table shows it.
func age(seconds *int) string {
	if seconds == nil {
		return ""
	}
	d := time.Duration(*seconds) * time.Second
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}
