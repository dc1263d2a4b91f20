package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/opengundumstyle/audio-alchemist/cmd/kn-alchemist/internal/api"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// conversion is one run of convert, or of job download, which begins where a
// job is there already.
type conversion struct {
	*app
	client *api.Client
	fields map[string]string
	target string // of -o
	force  bool
}

// all does every task, some at once. The error is that of the last one that
// failed, by a fault rather than by a video that cannot be converted; the
// others are told here.
func (r *conversion) all(ctx context.Context, tasks []*task, parallel int, do func(context.Context, *task) error) error {
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
			errs[i] = do(ctx, t)
		})
	}
	running.Wait()
	r.bars.wait()
	if ctx.Err() != nil {
		return r.interrupted(tasks, errs)
	}
	var last error
	for i, err := range errs {
		if err == nil {
			continue
		}
		code, text := verdict(err)
		next := &failure{code, tasks[i].label + ": " + text}
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

// interrupted names the jobs whose results are still to come.
func (r *conversion) interrupted(tasks []*task, errs []error) error {
	var left []*task
	for i, t := range tasks {
		if t.job.ID != "" && errors.Is(errs[i], context.Canceled) {
			left = append(left, t)
		}
	}
	if len(left) == 0 {
		return context.Canceled
	}
	return &failure{exitInterrupted, "interrupted. For what is still to come: " + r.command(left...)}
}

// command is the one that gets the results of tasks.
func (r *conversion) command(tasks ...*task) string {
	text, force := "kn alchemist job download", r.force
	for _, t := range tasks {
		text += " " + t.job.ID
		force = force || t.there > 0
	}
	if r.target != "" {
		text += " -o '" + strings.ReplaceAll(r.target, "'", `'\''`) + "'"
	}
	if force {
		text += " --force"
	}
	return text
}

// convert converts a video.
func (r *conversion) convert(ctx context.Context, t *task) error {
	j, err := r.upload(ctx, t)
	if err != nil {
		return err
	}
	t.job = j
	r.bars.line("%s: uploaded as job %s", t.label, j.ID)
	return r.results(ctx, t)
}

// results waits for the results of a job and downloads them. An error that is
// not the job's own tells how to go on.
func (r *conversion) results(ctx context.Context, t *task) error {
	err := r.fetch(ctx, t)
	if err == nil || errors.Is(err, context.Canceled) || fail.Is(err, fail.NotFound) {
		return err
	}
	code, text := verdict(err)
	if code != exitConversion {
		text += " For what is still to come: " + r.command(t)
	}
	return &failure{code, text}
}

func (r *conversion) fetch(ctx context.Context, t *task) error {
	j := t.job
	if !j.State.Ended() {
		var err error
		if j, err = r.follow(ctx, t); err != nil {
			return err
		}
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
		if err := r.save(ctx, t, result, path); err != nil {
			return err
		}
		t.there++
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

func (r *conversion) upload(ctx context.Context, t *task) (job.View, error) {
	f, err := os.Open(t.label)
	if err != nil {
		return job.View{}, fail.New(fail.Internal, "It cannot be read: %v.", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return job.View{}, fail.New(fail.Internal, "It cannot be read: %v.", err)
	}
	bar := r.bars.bytes(t.name, "upload", info.Size())
	defer bar.end()
	return r.client.Upload(ctx, t.name, f, info.Size(), r.fields, bar.set)
}

func (r *conversion) follow(ctx context.Context, t *task) (job.View, error) {
	bar := r.bars.percent(t.name, "convert")
	defer bar.end()
	return r.client.Follow(ctx, t.job.ID, func(j job.View) { bar.set(int64(j.Progress)) })
}

// save writes a result beside where it belongs, and puts it there when it
// is whole.
func (r *conversion) save(ctx context.Context, t *task, result job.ResultView, path string) (err error) {
	part, err := create(filepath.Dir(path))
	if err != nil {
		return fail.New(fail.Internal, "The result cannot be written: %v.", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	bar := r.bars.bytes(t.name, "download", result.Bytes)
	defer bar.end()
	err = r.client.Download(ctx, result, part, bar.set)
	if closed := part.Close(); err == nil && closed != nil {
		err = fail.New(fail.Internal, "The result cannot be written: %v.", closed)
	}
	if err != nil {
		return err
	}
	return put(part.Name(), path, r.force)
}
