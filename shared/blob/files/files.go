// Package files keeps blobs as plain files:
//
//	<dir>/<bucket>/<first two characters of the id>/<id>
//	<dir>/tmp/<any name>      being written
//
// A file appears under its name by a hard link, complete and synced. Whoever
// writes a temporary file holds a lock (flock) on it, which the kernel drops
// with the process, so that Sweep knows which of them nobody will finish.
// Several processes may use one folder, on a file system with hard links.
package files

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const tmpFolder = "tmp"

// Store keeps blobs in one folder. It implements blob.Store.
type Store struct {
	dir string

	mu     sync.Mutex
	synced map[string]bool // folders known to survive a power cut
}

// Open opens the store in the folder dir, which is made if it is missing, and
// sweeps it once. An unusable folder is fail.Unavailable.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "find the blob folder")
	}
	if err := os.MkdirAll(filepath.Join(dir, tmpFolder), 0o700); err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "make the blob folder")
	}
	s := &Store{dir: dir, synced: map[string]bool{}}
	return s, s.Sweep(context.Background())
}

// path returns where the blob is or would be.
func (s *Store) path(bucket blob.Bucket, id string) (string, error) {
	if !slices.Contains(blob.Buckets(), bucket) {
		return "", fail.Wrap(fail.Internal, errors.New("no such bucket"), "use bucket %q", bucket)
	}
	if err := blob.CheckID(id); err != nil {
		return "", err
	}
	return filepath.Join(s.dir, string(bucket), id[:2], id), nil
}

// Open implements blob.Store. The reader implements blob.Local.
func (s *Store) Open(ctx context.Context, bucket blob.Bucket, id string) (blob.Reader, error) {
	path, err := s.path(bucket, id)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "open blob %s", id)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail.New(fail.NotFound, "There is no such file.")
	}
	if err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "open blob %s", id)
	}
	fi, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fail.Wrap(fail.Unavailable, err, "open blob %s", id)
	}
	return &reader{ctx: ctx, file: f, info: info(id, fi)}, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, bucket blob.Bucket, id string) error {
	path, err := s.path(bucket, id)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fail.Wrap(fail.Unavailable, err, "delete blob %s", id)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail.Wrap(fail.Unavailable, err, "delete blob %s", id)
	}
	return nil
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, bucket blob.Bucket) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		if _, err := s.path(bucket, blob.NewID()); err != nil {
			yield(blob.Info{}, err)
			return
		}
		root := filepath.Join(s.dir, string(bucket))
		err := filepath.WalkDir(root, func(_ string, e fs.DirEntry, err error) error {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, fs.ErrNotExist):
				return nil // the bucket is empty yet
			case err != nil:
				return err
			case e.IsDir() || !isID(e.Name()):
				return nil
			}
			fi, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil // deleted meanwhile
			}
			if err == nil && !yield(info(e.Name(), fi), nil) {
				return fs.SkipAll
			}
			return err
		})
		if err != nil {
			yield(blob.Info{}, fail.Wrap(fail.Unavailable, err, "list bucket %s", bucket))
		}
	}
}

// Ready implements blob.Store: the folder is there and can be written.
func (s *Store) Ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail.Wrap(fail.Unavailable, err, "check the blob folder")
	}
	const readWriteSearch = 4 | 2 | 1
	err := syscall.Access(filepath.Join(s.dir, tmpFolder), readWriteSearch)
	return fail.Wrap(fail.Unavailable, err, "check the blob folder")
}

func isID(name string) bool { return blob.CheckID(name) == nil }

func info(id string, fi fs.FileInfo) blob.Info {
	return blob.Info{ID: id, Bytes: fi.Size(), Created: fi.ModTime().UTC()}
}

// reader is an open blob.
type reader struct {
	ctx  context.Context // of Open: it bounds every read
	file *os.File
	info blob.Info
}

func (r *reader) Info() blob.Info { return r.info }
func (r *reader) File() *os.File  { return r.file }
func (r *reader) Close() error    { return r.file.Close() }

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fail.Wrap(fail.Unavailable, err, "read blob %s", r.info.ID)
	}
	return r.file.Read(p)
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	return r.file.Seek(offset, whence)
}
