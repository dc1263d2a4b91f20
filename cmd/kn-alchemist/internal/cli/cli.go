// Package cli is the commands of the plugin.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/place"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// The codes that the program exits with.
const (
	exitOK          = 0
	exitFailed      = 1   // anything else
	exitUsage       = 2   // the command line cannot be right
	exitLogin       = 3   // not logged in, or not allowed
	exitNotFound    = 4   // there is no such job, account or dead letter
	exitConversion  = 5   // a video could not be converted
	exitUnreachable = 6   // no answer, or a store is away: it may work later
	exitInterrupted = 130 // by a signal
)

// app is one run of the program.
type app struct {
	in       *os.File
	out, err io.Writer
	getenv   func(string) string

	url, ingress, namespace string // flags
	cluster                 bool   // the address was found by kn

	who    credentials // who is logged in; without a password if by a token that was kept
	warned bool        // that the login is not kept
	bars   *bars       // what a prompt must not write over
}

// Main runs the program with its arguments and returns its exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // whoever presses Ctrl-C again means it
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	root := a.root()
	root.SetArgs(args)
	return a.finish(root.ExecuteContext(ctx))
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kn-alchemist",
		Short: "Administer Audio-Alchemist, and convert videos with it",
		Long: `Administer Audio-Alchemist, and convert videos with it.

The address of the system is that of --url or ALCHEMIST_URL. Without one, it is
that of the service gateway in the cluster of the current kube context, where
there are such a context and kn; else ` + place.Local + `.

Who you are is asked for by "login", or said by ALCHEMIST_EMAIL and
ALCHEMIST_PASSWORD.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not logged in or not allowed,
4 no such thing, 5 a video could not be converted, 6 no answer, or not now.`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kn alchemist"},
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%v", err) })
	f := root.PersistentFlags()
	f.StringVar(&a.url, "url", "", "address of the system (ALCHEMIST_URL)")
	f.StringVar(&a.ingress, "ingress", "", "HOST:PORT to connect to instead of what the address resolves to (ALCHEMIST_INGRESS)")
	f.StringVarP(&a.namespace, "namespace", "n", place.Namespace, "namespace of the functions in the cluster")
	root.AddCommand(a.login(), a.logout(), a.user(), a.job(), a.deadletter(), a.convert(), a.status(), a.version())
	for _, group := range root.Commands() {
		strict(group)
	}
	return root
}

// strict makes wrong arguments errors of usage.
func strict(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage(cmd, "%v", err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		strict(sub)
	}
}

// group is a command that only has others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return usage(cmd, "say what to do")
	}}
	g.AddCommand(commands...)
	return g
}

// failure is an error with the exit code that it ends the program with.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

func usage(cmd *cobra.Command, format string, args ...any) error {
	return &failure{exitUsage, fmt.Sprintf(format, args...) + "; see " + cmd.CommandPath() + " --help"}
}

// finish tells of an error, in one line, and returns the exit code.
func (a *app) finish(err error) int {
	code, text := verdict(err)
	if text != "" {
		a.say("Error: %s", text)
	}
	return code
}

// say prints one line for the person.
func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintln(a.err, strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
}

// verdict is the exit code of an error, and what to say of it and what to do.
func verdict(err error) (int, string) {
	var f *failure
	switch {
	case err == nil:
		return exitOK, ""
	case errors.Is(err, context.Canceled):
		return exitInterrupted, "interrupted"
	case errors.As(err, &f):
		return f.code, f.text
	case strings.HasPrefix(err.Error(), "unknown command"), strings.HasPrefix(err.Error(), "if any flags in the group"):
		return exitUsage, strings.Split(err.Error(), "\n")[0] + "; see kn alchemist --help" // cobra's have no type
	}
	switch fail.KindOf(err) {
	case fail.Unauthorized:
		return exitLogin, err.Error() + " Run kn alchemist login."
	case fail.Forbidden:
		return exitLogin, err.Error() + " Run kn alchemist login as somebody who may."
	case fail.NotFound:
		return exitNotFound, err.Error() + " The commands list show what there is."
	case fail.RateLimited:
		return exitFailed, err.Error()
	case fail.Unavailable:
		return exitUnreachable, err.Error() + " Is it running, and is --url right? Try again, or see kn alchemist status."
	default:
		return exitFailed, err.Error()
	}
}
