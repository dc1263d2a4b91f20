package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// downloads is how many jobs are downloaded at once.
const downloads = 2

func (a *app) jobDownload() *cobra.Command {
	var (
		out          string
		force, quiet bool
	)
	c := &cobra.Command{
		Use: "download ID…", Short: "Download all results of jobs, as convert does", Args: cobra.MinimumNArgs(1),
		Long: `Download all results of jobs, and wait for those that have not ended yet.

The results go to the current folder, or to OUT: a folder, or the name of the
one result. The path of each is printed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *api.Client) error {
				a.bars = newBars(a.err, quiet)
				run := &conversion{app: a, client: c, target: out, force: force}
				return run.download(cmd.Context(), args)
			})
		},
	}
	outputFlags(c, &out, &force, &quiet)
	return c
}

// outputFlags are those of a command that downloads.
func outputFlags(c *cobra.Command, out *string, force, quiet *bool) {
	c.Flags().StringVarP(out, "output", "o", "", "where the results go: a folder, or the name of the one result")
	c.Flags().BoolVar(force, "force", false, "replace files that are there")
	c.Flags().BoolVarP(quiet, "quiet", "q", false, "show no progress")
}

// download downloads what jobs have made and will make. That there is one that
// cannot be read does not keep the others from it.
func (r *conversion) download(ctx context.Context, ids []string) error {
	var tasks []*task
	unread := map[*task]error{}
	for _, id := range ids {
		j, err := r.client.Job(ctx, id)
		if errors.Is(err, context.Canceled) {
			return err
		}
		t := &task{label: id, name: j.Name, formats: made(j), job: j}
		if err != nil {
			unread[t] = err
		}
		tasks = append(tasks, t)
	}
	if err := arrange(tasks, r.target, r.force); err != nil {
		return err
	}
	return r.all(ctx, tasks, downloads, func(ctx context.Context, t *task) error {
		if err := unread[t]; err != nil {
			return err
		}
		return r.results(ctx, t)
	})
}

// made are the formats that a job has made, or will make unless it fails.
func made(j job.View) []string {
	var formats []string
	switch j.State {
	case job.Done:
		for _, result := range j.Results {
			formats = append(formats, result.Format)
		}
	case job.Failed: // nothing
	default:
		for _, f := range j.Options.Outputs() {
			formats = append(formats, string(f))
		}
	}
	return formats
}
