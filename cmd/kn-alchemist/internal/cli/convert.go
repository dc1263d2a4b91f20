package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
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

// conversion is one run of convert.
type conversion struct {
	*app
	client *api.Client
	fields map[string]string
	force  bool
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
			run := &conversion{app: a, fields: map[string]string{}, force: force}
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
				return run.all(cmd.Context(), tasks, parallel)
			})
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "where the results go: a folder, or the name of the one result")
	c.Flags().BoolVar(&force, "force", false, "replace files that are there")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
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

// task is one file, and where its results go, by their format.
type task struct {
	file string
	to   map[string]string
}

// plan finds where the results go before anything is sent, and refuses what
// would write over a file, or two results to one.
func plan(files []string, out string, formats []options.Format, force bool) ([]task, error) {
	dir, single, err := target(out, len(files)*len(formats))
	if err != nil {
		return nil, err
	}
	var tasks []task
	taken := map[string]string{}
	for _, file := range files {
		source, err := os.Stat(file)
		if err != nil || !source.Mode().IsRegular() {
			return nil, &failure{exitUsage, file + " is no file that can be read; give the path of a video."}
		}
		t := task{file: file, to: map[string]string{}}
		for _, f := range formats {
			path := single
			if path == "" {
				path = filepath.Join(dir, job.ResultName(job.CleanName(filepath.Base(file)), string(f)))
			}
			if other, there := taken[path]; there {
				return nil, &failure{exitUsage, fmt.Sprintf("%s and %s would both become %s; convert them into different folders.", other, file, path)}
			}
			taken[path] = file
			t.to[string(f)] = path
			there, err := os.Stat(path)
			if err == nil && (!force || os.SameFile(there, source) || !there.Mode().IsRegular()) {
				return nil, &failure{exitFailed, path + " is there already; choose another place with -o, or replace it with --force."}
			}
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}

// target is the folder that OUT is, or the one file.
func target(out string, results int) (dir, single string, err error) {
	if out == "" {
		return ".", "", nil
	}
	there, err := os.Stat(out)
	switch {
	case err == nil && there.IsDir():
		return out, "", nil
	case results > 1 && err == nil:
		return "", "", &failure{exitUsage, out + " is a file, and there will be several results; give a folder."}
	case results > 1 || os.IsPathSeparator(out[len(out)-1]):
		if err := os.MkdirAll(out, 0o777); err != nil { // #nosec G301 -- as mkdir does
			return "", "", &failure{exitFailed, "The folder cannot be made: " + err.Error() + "."}
		}
		return out, "", nil
	default:
		return "", out, nil
	}
}

// all converts every file, some at once. The error is that of the last one
// that failed, by a fault rather than by a file that cannot be converted; the
// others are told here.
func (r *conversion) all(ctx context.Context, tasks []task, parallel int) error {
	errs := make([]error, len(tasks))
	turns := make(chan struct{}, parallel)
	var running sync.WaitGroup
	for i, t := range tasks {
		turns <- struct{}{}
		if ctx.Err() != nil {
			errs[i] = context.Canceled
			<-turns
			continue
		}
		running.Go(func() {
			defer func() { <-turns }()
			errs[i] = r.one(ctx, t)
		})
	}
	running.Wait()
	r.bars.wait()
	if ctx.Err() != nil {
		return context.Canceled
	}
	var last error
	for i, err := range errs {
		if err == nil {
			continue
		}
		code, text := verdict(err)
		next := &failure{code, tasks[i].file + ": " + text}
		var before *failure
		if errors.As(last, &before) && before.code != exitConversion && code == exitConversion {
			last, next = next, before
		}
		if last != nil {
			r.finish(last)
		}
		last = next
	}
	return last
}

// one converts a file.
func (r *conversion) one(ctx context.Context, t task) error {
	j, err := r.upload(ctx, t)
	if err != nil {
		return err
	}
	r.bars.line("%s: uploaded as job %s", t.file, j.ID)
	if j, err = r.follow(ctx, t, j); err != nil {
		return err
	}
	if j.State == job.Failed {
		why := "it failed for no reason that is known."
		if j.Error != nil {
			why = *j.Error
		}
		return &failure{exitConversion, fmt.Sprintf("%s Once that is mended, run kn alchemist job retry %s.", why, j.ID)}
	}
	for _, result := range j.Results {
		path, ok := t.to[result.Format]
		if !ok {
			continue // of a server that makes more than it was asked for
		}
		if err := r.download(ctx, t, result, path); err != nil {
			return err
		}
		if err := r.print(path); err != nil {
			return err
		}
	}
	return nil
}

// print prints a path; above the bars, where both go to a terminal.
func (r *conversion) print(path string) error {
	if out, ok := r.out.(*os.File); ok && r.bars.group != nil && term.IsTerminal(int(out.Fd())) {
		r.bars.line("%s", path)
		return nil
	}
	_, err := fmt.Fprintln(r.out, path)
	return fail.Wrap(fail.Internal, err, "print")
}

func (r *conversion) upload(ctx context.Context, t task) (job.View, error) {
	f, err := os.Open(t.file)
	if err != nil {
		return job.View{}, fail.New(fail.Internal, "It cannot be read: %v.", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return job.View{}, fail.New(fail.Internal, "It cannot be read: %v.", err)
	}
	bar := r.bars.bytes(t.file, "upload", info.Size())
	defer bar.end()
	return r.client.Upload(ctx, filepath.Base(t.file), f, info.Size(), r.fields, bar.set)
}

func (r *conversion) follow(ctx context.Context, t task, j job.View) (job.View, error) {
	bar := r.bars.percent(t.file, "convert")
	defer bar.end()
	return r.client.Follow(ctx, j.ID, func(j job.View) { bar.set(int64(j.Progress)) })
}

// download writes a result beside where it belongs, and puts it there when it
// is whole.
func (r *conversion) download(ctx context.Context, t task, result job.ResultView, path string) (err error) {
	part, err := os.CreateTemp(filepath.Dir(path), ".kn-alchemist-*.part")
	if err != nil {
		return fail.New(fail.Internal, "The result cannot be written: %v.", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	bar := r.bars.bytes(t.file, "download", result.Bytes)
	defer bar.end()
	err = r.client.Download(ctx, result, part, bar.set)
	if closed := part.Close(); err == nil && closed != nil {
		err = fail.New(fail.Internal, "The result cannot be written: %v.", closed)
	}
	if err != nil {
		return err
	}
	return r.put(part.Name(), path)
}

// put gives a file its name. Without --force it never replaces one, however
// late that has come.
func (r *conversion) put(part, path string) error {
	err := os.Chmod(part, 0o644) // #nosec G302 -- as other programs leave what they made
	if err == nil && !r.force {
		if err = os.Link(part, path); err == nil {
			_ = os.Remove(part)
			return nil
		}
		if errors.Is(err, os.ErrExist) {
			return fail.New(fail.Internal, "%s is there already; choose another place with -o, or replace it with --force.", path)
		}
		err = nil // a file system without links
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return fail.New(fail.Internal, "The result cannot be written: %v.", err)
	}
	return nil
}
