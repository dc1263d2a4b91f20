package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// row is one line of the table.
type row struct {
	what, ours, rival, result, target, met string
}

// none is written where a row has nothing to say.
const none = "—"

// write prints the rows as a table in markdown, with columns aligned.
func write(w io.Writer, rows []row) error {
	cells := [][]string{{"what", "ours", "plain", "compared", "target", "met"}}
	for _, r := range rows {
		cells = append(cells, []string{r.what, r.ours, r.rival, r.result, r.target, r.met})
	}
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width)
	}
	cells = slices.Insert(cells, 1, rule)
	for _, line := range cells {
		for i, cell := range line {
			line[i] = cell + strings.Repeat(" ", widths[i]-len([]rune(cell)))
		}
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(line, " | ")); err != nil {
			return err
		}
	}
	return nil
}

// yes says whether a target was met.
func yes(met bool) string {
	if met {
		return "yes"
	}
	return "no"
}

// median returns the middle of the values, of two the mean; NaN of none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread writes the smallest and the largest of the values.
func spread(format string, values []float64) string {
	return fmt.Sprintf(format+" … "+format, slices.Min(values), slices.Max(values))
}

// pair is one measurement of ours and of its rival, one right after the other.
type pair struct{ ours, rival time.Duration }

// each turns every pair into one figure.
func each(pairs []pair, figure func(pair) float64) []float64 {
	all := make([]float64, 0, len(pairs))
	for _, p := range pairs {
		all = append(all, figure(p))
	}
	return all
}

func seconds(d time.Duration) float64 { return d.Seconds() }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
