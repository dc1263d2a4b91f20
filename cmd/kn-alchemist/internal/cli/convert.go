package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

func optionNames() []string { return options.Names() }

// about says what the options of a conversion are.
var about = map[string]string{
	"format":      "mp3, m4a, opus, ogg, flac, wav, or several with commas: one file each",
	"bitrate":     "bit rate, 32k to 320k",
	"quality":     "a variable bit rate instead, v0 (best) to v9 (smallest): mp3 and ogg",
	"sample_rate": "sample rate in Hz",
	"channels":    "mono or stereo",
	"start":       "where to begin: seconds, mm:ss or hh:mm:ss",
	"end":         "where to end, as start",
	"track":       "the place among the audio tracks, from 0, or a language",
	"normalize":   "the loudness to reach, -23 to -9 LUFS",
	"title":       "label: title",
	"artist":      "label: artist",
	"album":       "label: album",
	"date":        "label: date",
	"genre":       "label: genre",
	"comment":     "label: comment",
	"cover":       "none, or the time of a frame of the video",
}

func (a *app) convert() *cobra.Command {
	var (
		out          string
		force, quiet bool
		parallel     int
	)
	values := map[string]*string{}
	c := &cobra.Command{
		Use: "convert FILE…", Short: "Convert videos: upload, wait, download", Args: cobra.MinimumNArgs(1),
		Long: `Convert videos: upload, wait for the conversion, download what it made.

The results go to the current folder, or to OUT: a folder, or the name of the
one result. The path of each is printed. The job stays, until it is deleted.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			run := &conversion{app: a, fields: map[string]string{}, target: out, force: force}
			for name, v := range values {
				run.fields[name] = *v
			}
			asked, err := options.Parse(run.fields)
			if err != nil {
				return usage(cmd, "%s", strings.TrimSuffix(err.Error(), "."))
			}
			if parallel < 1 || parallel > 16 {
				return usage(cmd, "--parallel takes 1 to 16")
			}
			tasks, err := plan(args, out, asked.Outputs(), force)
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(c *api.Client) error {
				if err := c.Validate(cmd.Context()); err != nil {
					return err
				}
				run.client, a.bars = c, newBars(a.err, quiet)
				return run.all(cmd.Context(), tasks, parallel, run.convert)
			})
		},
	}
	outputFlags(c, &out, &force, &quiet)
	c.Flags().IntVar(&parallel, "parallel", 2, "how many files at once")
	for _, name := range options.Names() {
		values[name] = c.Flags().String(strings.ReplaceAll(name, "_", "-"), "", about[name])
	}
	completeOptions(c)
	return c
}

func completeOptions(c *cobra.Command) {
	var formats []string
	for _, f := range options.Formats() {
		formats = append(formats, string(f))
	}
	for flag, values := range map[string][]string{"format": formats, "channels": {"mono", "stereo"}, "cover": {"none"}} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}
