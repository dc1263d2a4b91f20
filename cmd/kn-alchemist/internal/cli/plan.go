package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

// task is a video or a job whose results become files.
type task struct {
	label   string // in what is told of it
	name    string // of the video
	formats []string
	source  fs.FileInfo       // of the video, where that is here
	to      map[string]string // where results go, by their format; of arrange

	job   job.View // without an id until it is uploaded
	there int      // how many results are
}

// plan finds where the results of videos go before anything is sent.
func plan(files []string, out string, formats []options.Format, force bool) ([]*task, error) {
	var tasks []*task
	for _, file := range files {
		source, err := os.Stat(file)
		if err != nil || !source.Mode().IsRegular() {
			return nil, &failure{exitUsage, file + " is no file that can be read; give the path of a video."}
		}
		t := &task{label: file, name: filepath.Base(file), source: source}
		for _, f := range formats {
			t.formats = append(t.formats, string(f))
		}
		tasks = append(tasks, t)
	}
	return tasks, arrange(tasks, out, force)
}

// arrange finds where results go, and refuses what would write over a file, two
// results to one, or to where nothing can be written.
func arrange(tasks []*task, out string, force bool) error {
	results := 0
	for _, t := range tasks {
		results += len(t.formats)
	}
	dir, single, err := target(out, results)
	if err != nil {
		return err
	}
	taken, folders := map[string]string{}, map[string]bool{}
	for _, t := range tasks {
		t.to = map[string]string{}
		for _, format := range t.formats {
			path := single
			if path == "" {
				path = filepath.Join(dir, job.CleanName(job.ResultName(job.CleanName(t.name), format)))
			}
			if other, there := taken[path]; there {
				return &failure{exitUsage, fmt.Sprintf("%s and %s would both become %s; give them different folders, one after the other.", other, t.label, path)}
			}
			taken[path], t.to[format], folders[filepath.Dir(path)] = t.label, path, true
			there, err := os.Stat(path)
			if err == nil && (!force || t.source != nil && os.SameFile(there, t.source) || !there.Mode().IsRegular()) {
				return &failure{exitFailed, path + " is there already; choose another place with -o, or replace it with --force."}
			}
		}
	}
	for folder := range folders {
		if err := writable(folder); err != nil {
			return err
		}
	}
	return nil
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

// writable refuses a folder that no file can be made in.
func writable(folder string) error {
	f, err := create(folder)
	if err == nil {
		_ = f.Close()
		return os.Remove(f.Name())
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return &failure{exitFailed, fmt.Sprintf("Nothing can be written to the folder %s: %v. Choose another place with -o.", folder, err)}
}

// create makes a file for a part of a result, which who may read as of any
// file that a program makes: by the umask.
func create(folder string) (*os.File, error) {
	name := filepath.Join(folder, ".kn-alchemist-"+rand.Text()+".part")
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666) // #nosec G302 -- before the umask
}

// put gives a file its name. Without force it never replaces one, however late
// that has come.
func put(part, path string, force bool) error {
	if !force {
		err := os.Link(part, path)
		if err == nil {
			_ = os.Remove(part)
			return nil
		}
		if errors.Is(err, os.ErrExist) {
			return fail.New(fail.Internal, "%s is there already; choose another place with -o, or replace it with --force.", path)
		} // else a file system without links
	}
	if err := os.Rename(part, path); err != nil {
		return fail.New(fail.Internal, "The result cannot be written: %v.", err)
	}
	return nil
}
