package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// bufferSize is how much of a Put is in memory, in bytes.
const bufferSize = 256 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, bucket blob.Bucket, id string, r io.Reader) (blob.Info, error) {
	path, err := s.path(bucket, id)
	if err != nil {
		return blob.Info{}, err
	}
	if _, err := os.Lstat(path); err == nil {
		return blob.Info{}, exists()
	}
	tmp, err := s.create()
	if err != nil {
		return blob.Info{}, fail.Wrap(fail.Unavailable, err, "create blob %s", id)
	}
	defer func() {
		// Removed before the lock goes, which Close drops.
		_ = os.Remove(tmp.Name())
		_ = tmp.Close()
	}()
	if err := copyTo(ctx, tmp, r); err != nil {
		return blob.Info{}, err
	}
	if err := tmp.Sync(); err != nil {
		return blob.Info{}, fail.Wrap(fail.Unavailable, err, "sync blob %s", id)
	}
	if err := ctx.Err(); err != nil {
		return blob.Info{}, fail.Wrap(fail.Unavailable, err, "write blob %s", id)
	}
	return s.publish(tmp, path, id)
}

// publish makes the finished temporary file visible at path, for good.
func (s *Store) publish(tmp *os.File, path, id string) (blob.Info, error) {
	if err := s.folder(filepath.Dir(path)); err != nil {
		return blob.Info{}, fail.Wrap(fail.Unavailable, err, "make the folder of blob %s", id)
	}
	now := time.Now()
	if err := os.Chtimes(tmp.Name(), now, now); err != nil {
		return blob.Info{}, fail.Wrap(fail.Unavailable, err, "date blob %s", id)
	}
	fi, err := tmp.Stat()
	if err != nil {
		return blob.Info{}, fail.Wrap(fail.Unavailable, err, "date blob %s", id)
	}
	// A link, not a rename: it never replaces what is there.
	switch err := os.Link(tmp.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return blob.Info{}, exists()
	case err != nil:
		return blob.Info{}, fail.Wrap(fail.Unavailable, err, "publish blob %s", id)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		_ = os.Remove(path)
		return blob.Info{}, fail.Wrap(fail.Unavailable, err, "publish blob %s", id)
	}
	return info(id, fi), nil
}

func exists() error { return fail.New(fail.Exists, "There is such a file already.") }

// copyTo copies r to the file. Whatever pieces r comes in, the file is
// written in whole buffers.
func copyTo(ctx context.Context, f *os.File, r io.Reader) error {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	var written int64
	for {
		n, readErr := fill(ctx, buf[:], r)
		end := errors.Is(readErr, io.EOF)
		if readErr != nil && !end {
			return fail.Wrap(fail.KindOf(readErr), readErr, "read the content of a blob")
		}
		if _, err := f.Write(buf[:n]); err != nil {
			return fail.Wrap(fail.Unavailable, err, "write a blob")
		}
		writeback(f, written, int64(n))
		written += int64(n)
		if end {
			return amend(f, r, written)
		}
	}
}

// amend replaces what r knows only now.
func amend(f *os.File, r io.Reader, length int64) error {
	at, p, err := blob.Amendment(r, length)
	if err != nil || len(p) == 0 {
		return err
	}
	if _, err := f.WriteAt(p, at); err != nil {
		return fail.Wrap(fail.Unavailable, err, "amend a blob")
	}
	return nil
}

// fill reads until p is full; a shorter count comes with an error.
func fill(ctx context.Context, p []byte, r io.Reader) (n int, err error) {
	for n < len(p) && err == nil {
		if err := ctx.Err(); err != nil {
			return n, fail.Wrap(fail.Unavailable, err, "wait for the content")
		}
		var k int
		k, err = r.Read(p[n:])
		n += k
	}
	return n, err
}

// create makes a temporary file that this process has locked.
func (s *Store) create() (*os.File, error) {
	for {
		name := filepath.Join(s.dir, tmpFolder, blob.NewID())
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		if err := flock(f, syscall.LOCK_EX); err != nil {
			_ = os.Remove(name)
			_ = f.Close()
			return nil, err
		}
		// A sweep may have locked and removed it before us.
		if current(f) {
			return f, nil
		}
		_ = f.Close()
	}
}

// Sweep implements blob.Store.
func (s *Store) Sweep(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, tmpFolder))
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "sweep the blob folder")
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return fail.Wrap(fail.Unavailable, err, "sweep the blob folder")
		}
		if !e.Type().IsRegular() {
			continue // not ours
		}
		if err := sweep(filepath.Join(s.dir, tmpFolder, e.Name())); err != nil {
			return fail.Wrap(fail.Unavailable, err, "sweep the blob folder")
		}
	}
	return nil
}

// sweep removes one temporary file unless somebody holds its lock.
func sweep(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	} else if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// flock locks the file until it is closed, by us or by the end of the process.
func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// current reports whether the file is still what its name leads to.
func current(f *os.File) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(opened, named)
}

// folder makes a folder of a bucket and sees to it that it survives a power
// cut, once for each folder.
func (s *Store) folder(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.synced[dir] {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		if err := syncFolder(parent); err != nil {
			return err
		}
		if parent == s.dir {
			break
		}
	}
	s.synced[dir] = true
	return nil
}

// syncFolder makes the names in the folder survive a power cut.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
