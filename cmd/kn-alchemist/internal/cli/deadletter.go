package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
)

func (a *app) deadletter() *cobra.Command {
	return group("deadletter", "Events that could not be delivered; for administrators",
		a.letterList(),
		a.letters("replay", "Try again what could not be delivered: its job begins a new run, or its owner is told again",
			func(ctx context.Context, c *api.Client, id string) (string, error) {
				return "replayed", c.Replay(ctx, id)
			}),
		a.letters("drop", "Forget dead letters",
			func(ctx context.Context, c *api.Client, id string) (string, error) { return "dropped", c.Drop(ctx, id) }))
}

func (a *app) letterList() *cobra.Command {
	var f format
	c := &cobra.Command{
		Use: "list", Short: "List dead letters, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(c *api.Client) error {
				letters, err := c.Letters(cmd.Context())
				if err != nil {
					return err
				}
				return f.show(a.out, map[string]any{"deadletters": letters}, func() table { return letterTable(letters) })
			})
		},
	}
	f.add(c)
	return c
}

func letterTable(letters []api.Letter) table {
	t := table{{"ID", "EVENT", "JOB", "SUBSCRIBER", "STATUS", "TIMES", "LAST", "ANSWER"}}
	for _, l := range letters {
		job, status := "", ""
		if l.Job != nil {
			job = *l.Job
		}
		if l.Status != nil {
			status = strconv.Itoa(*l.Status)
		}
		event := strings.TrimSuffix(strings.TrimPrefix(l.Type, "dev.audioalchemist."), ".v1")
		t = append(t, []string{l.ID, event, job, l.Subscriber, status, fmt.Sprint(l.Times), when(l.LastAt), l.Answer})
	}
	return t
}

// letters is a command for the letters that are named, or for all.
func (a *app) letters(use, short string, do func(context.Context, *api.Client, string) (string, error)) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: use + " ID…|--all", Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usage(cmd, "give ids or --all")
			}
			return a.with(cmd.Context(), func(c *api.Client) error {
				ids := args
				if all {
					letters, err := c.Letters(cmd.Context())
					if err != nil {
						return err
					}
					for _, l := range letters {
						ids = append(ids, l.ID)
					}
				}
				return a.every(cmd.Context(), c, ids, do)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "every one that there is")
	return c
}
