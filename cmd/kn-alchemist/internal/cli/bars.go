package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// bars shows how far each file is: bars on a terminal, else a line now and
// then, or nothing.
type bars struct {
	out   io.Writer
	quiet bool
	group *mpb.Progress // nil without a terminal
}

func newBars(out io.Writer, quiet bool) *bars {
	b := &bars{out: out, quiet: quiet}
	f, ok := out.(*os.File)
	if !ok || quiet {
		return b
	}
	// A terminal that does not know its width shows no bars.
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		b.group = mpb.New(mpb.WithOutput(f), mpb.WithWidth(64))
	}
	return b
}

// maxLabel is how much of a file's name a bar shows.
const maxLabel = 30

// label is the name of a file as it stands before its bar.
func label(file, what string) string {
	name := []rune(plain(filepath.Base(file)))
	if len(name) > maxLabel {
		name = append(name[:maxLabel-1], '…')
	}
	return fmt.Sprintf("%-8s %s ", what, string(name))
}

// bar is one bar; the zero bar shows nothing.
type bar struct{ *mpb.Bar }

// bytes is a bar for so many bytes.
func (b *bars) bytes(file, what string, total int64) bar {
	if b.group == nil {
		return bar{}
	}
	return bar{b.group.AddBar(total, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(label(file, what), decor.WCSyncWidthR)),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)))}
}

// percent is a bar for a progress in per cent.
func (b *bars) percent(file, what string) bar {
	if b.group == nil {
		return bar{}
	}
	return bar{b.group.AddBar(100, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(label(file, what), decor.WCSyncWidthR)), mpb.AppendDecorators(decor.Percentage()))}
}

func (b bar) set(n int64) {
	if b.Bar != nil {
		b.SetCurrent(n)
	}
}

// end takes the bar away, however far it has come.
func (b bar) end() {
	if b.Bar != nil {
		b.Abort(true)
	}
}

// line tells of a step.
func (b *bars) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !b.quiet && !b.above(text) {
		_, _ = io.WriteString(b.out, plain(text)+"\n")
	}
}

// above prints a line above the bars; false where there are none.
func (b *bars) above(text string) bool {
	if b == nil || b.group == nil {
		return false
	}
	_, err := b.group.Write([]byte(plain(text) + "\n"))
	return err == nil
}

// wait lets the last of the bars go.
func (b *bars) wait() {
	if b.group != nil {
		b.group.Wait()
	}
}
