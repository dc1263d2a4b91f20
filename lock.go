package alchemist

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// lockFolder makes the data folder, for its owner alone, and takes the lock
// that keeps a second process out. The lock goes with the process, however it
// ends.
func lockFolder(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "DATA_DIR: make the folder %s", dir)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "DATA_DIR: write to the folder %s", dir)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fail.New(fail.Exists, "DATA_DIR: the folder %s is in use by another Audio-Alchemist; stop it or choose another folder", dir)
		}
		return nil, fail.Wrap(fail.Unavailable, err, "DATA_DIR: lock the folder %s", dir)
	}
	return f.Close, nil
}
