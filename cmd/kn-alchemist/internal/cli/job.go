package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

func (a *app) job() *cobra.Command {
	return group("job", "Jobs: uploads and what became of them", a.jobList(), a.jobShow(), a.jobDownload(), a.jobRetry(), a.jobDelete())
}

func (a *app) jobList() *cobra.Command {
	var (
		f           format
		all         bool
		user, state string
		limit       int
	)
	c := &cobra.Command{
		Use: "list", Short: "List jobs, the newest first; your own unless told otherwise", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			if all {
				q.Set("all", "true")
			}
			for name, v := range map[string]string{"user": user, "state": state} {
				if v != "" {
					q.Set(name, v)
				}
			}
			if limit < 0 {
				return usage(cmd, "--limit takes a number from 0 on")
			}
			return a.with(cmd.Context(), func(c *api.Client) error {
				jobs, err := c.Jobs(cmd.Context(), q, limit)
				if err != nil {
					return err
				}
				return f.show(a.out, map[string]any{"jobs": jobs}, func() table { return jobTable(jobs, all || user != "") })
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "everybody's; for administrators")
	c.Flags().StringVar(&user, "user", "", "those of the account with this address or id; for administrators")
	c.Flags().StringVar(&state, "state", "", "only those in this state: received, queued, converting, done or failed")
	c.Flags().IntVar(&limit, "limit", 20, "how many at most; 0 for all")
	c.MarkFlagsMutuallyExclusive("all", "user")
	var states []string
	for _, s := range job.States() {
		states = append(states, string(s))
	}
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp))
	f.add(c)
	return c
}

// jobTable lists jobs; whose they are only where they are those of others.
func jobTable(jobs []job.View, owners bool) table {
	head := []string{"ID", "STATE", "PROGRESS", "CREATED", "NAME"}
	if owners {
		head = append(head, "OWNER")
	}
	t := table{head}
	for _, j := range jobs {
		row := []string{j.ID, string(j.State), fmt.Sprintf("%d%%", j.Progress), when(j.CreatedAt), j.Name}
		if owners && j.Owner != nil {
			row = append(row, first(j.Owner.Email, j.Owner.ID))
		}
		t = append(t, row)
	}
	return t
}

// jobDetails shows one job, a line for each thing.
func jobDetails(j job.View) table {
	t := table{
		{"Name:", j.Name}, {"Id:", j.ID}, {"State:", string(j.State)}, {"Progress:", fmt.Sprintf("%d%%", j.Progress)},
		{"Created:", when(j.CreatedAt)}, {"Updated:", when(j.UpdatedAt)},
	}
	if j.Owner != nil {
		t = append(t, []string{"Owner:", first(j.Owner.Email, j.Owner.ID)})
	}
	if j.Error != nil {
		t = append(t, []string{"Error:", *j.Error})
	}
	for _, name := range optionNames() {
		if v := j.Options.Fields()[name]; v != "" {
			t = append(t, []string{"Option " + name + ":", v})
		}
	}
	for _, r := range j.Results {
		seconds := strconv.FormatFloat(r.DurationSeconds, 'f', 1, 64)
		t = append(t, []string{"Result:", fmt.Sprintf("%s (%d bytes, %s s)", r.Name, r.Bytes, seconds)})
	}
	return t
}

func (a *app) jobShow() *cobra.Command {
	var f format
	c := &cobra.Command{
		Use: "show ID", Short: "Show a job", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *api.Client) error {
				j, err := c.Job(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return f.show(a.out, j, func() table { return jobDetails(j) })
			})
		},
	}
	f.add(c)
	return c
}

func (a *app) jobRetry() *cobra.Command {
	return a.each("retry ID…", "Try failed jobs again", func(ctx context.Context, c *api.Client, id string) (string, error) {
		_, err := c.Retry(ctx, id)
		return "retried", err
	})
}

func (a *app) jobDelete() *cobra.Command {
	return a.each("delete ID…", "Delete jobs with their videos and results", func(ctx context.Context, c *api.Client, id string) (string, error) {
		return "deleted", c.Delete(ctx, id)
	})
}

// each is a command that does one thing to each of the ids that it is given.
func (a *app) each(use, short string, do func(context.Context, *api.Client, string) (string, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *api.Client) error { return a.every(cmd.Context(), c, args, do) })
		},
	}
}

// every does it to every id, whatever becomes of the others. Of several
// errors all but the last are told here.
func (a *app) every(ctx context.Context, c *api.Client, ids []string, do func(context.Context, *api.Client, string) (string, error)) error {
	var last error
	for _, id := range ids {
		done, err := do(ctx, c, id)
		if err != nil && len(ids) == 1 || errors.Is(err, context.Canceled) {
			return err
		}
		if err != nil {
			code, text := verdict(err)
			if last != nil {
				a.finish(last)
			}
			last = &failure{code, id + ": " + text}
			continue
		}
		if _, err := fmt.Fprintln(a.out, id, done); err != nil {
			return err
		}
	}
	return last
}
