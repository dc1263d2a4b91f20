// Package maildir sends mail into a folder of this machine
// (https://cr.yp.to/proto/maildir.html), which any mail program can read.
package maildir

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/emersion/go-maildir"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
)

// Sender delivers every mail into one maildir, whoever it is for. It
// implements mail.Sender. A mail that is there already, by its ID, is not
// delivered again, even if it has been read meanwhile.
type Sender struct {
	dir  maildir.Dir
	from string
}

// New makes a Sender for the maildir at dir, which is made if it is missing;
// from is the sender of every mail. An unusable folder is fail.Unavailable,
// an unusable address fail.Invalid.
func New(dir, from string) (*Sender, error) {
	if err := mail.CheckFrom(from); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "make the maildir")
	}
	d := maildir.Dir(dir)
	if err := d.Init(); err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "make the maildir")
	}
	return &Sender{dir: d, from: from}, nil
}

// Send implements mail.Sender.
func (s *Sender) Send(ctx context.Context, m mail.Message) error {
	var raw bytes.Buffer
	if err := mail.Write(&raw, s.from, m); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fail.Wrap(fail.Unavailable, err, "deliver mail %s", m.ID)
	}
	// In a file, lines end as this system ends them.
	text := bytes.ReplaceAll(raw.Bytes(), []byte("\r\n"), []byte("\n"))
	return fail.Wrap(fail.Unavailable, s.deliver(m.ID, text), "deliver mail %s", m.ID)
}

// deliver is the delivery of the maildir rules, under a name that is the same
// for the same mail. The temporary file has that name too: what a killed
// process leaves, the next attempt takes up. Its lock lets one go first.
func (s *Sender) deliver(key string, text []byte) error {
	tmp, err := lock(filepath.Join(string(s.dir), "tmp", key))
	if err != nil {
		return err
	}
	defer func() {
		_ = os.Remove(tmp.Name())
		_ = tmp.Close()
	}()
	if there, err := s.has(key); there || err != nil {
		return err
	}
	if err := tmp.Truncate(0); err != nil {
		return err
	}
	if _, err := tmp.Write(text); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	box := filepath.Join(string(s.dir), "new")
	if err := os.Link(tmp.Name(), filepath.Join(box, key)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(box)
}

// has reports whether the mail is there, unread or read.
func (s *Sender) has(key string) (bool, error) {
	if _, err := os.Lstat(filepath.Join(string(s.dir), "new", key)); err == nil {
		return true, nil
	}
	_, err := s.dir.MessageByKey(key)
	if unknown := new(maildir.KeyError); errors.As(err, &unknown) && unknown.N == 0 {
		return false, nil
	}
	return err == nil, err
}

// lock opens the file, new or left over, and waits until it is ours alone.
func lock(name string) (*os.File, error) {
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		}
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		// Whoever had it before us has removed it.
		opened, err := f.Stat()
		if named, there := os.Lstat(name); err == nil && there == nil && os.SameFile(opened, named) {
			return f, nil
		}
		_ = f.Close()
	}
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
