package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// secretBytes is the size of a secret for links.
const secretBytes = 32

// A key may be given by its value instead of the path of a file: in a pod of
// Knative, which cannot say whose the files of a Secret are, an environment
// variable is more private than a file. These are how a value begins.
const (
	pemPrefix    = "-----BEGIN "
	secretPrefix = "base64:"
)

// ReadKey reads an Ed25519 private key from a PKCS#8 PEM file, or from the PEM
// itself, which begins with "-----BEGIN ". fail.NotFound if there is no such
// file; fail.Invalid, with a text for the operator, for a file that is something
// else or that others than its owner can use. Of a file that belongs to
// another user, as one that Kubernetes mounts from a Secret does, its group
// may read, or this process could not.
func ReadKey(source string) (ed25519.PrivateKey, error) {
	if strings.HasPrefix(source, pemPrefix) {
		return parsePEM("the value", []byte(source))
	}
	data, err := readPrivate(source)
	if err != nil {
		return nil, err
	}
	return parsePEM(source, data)
}

func parsePEM(name string, data []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) != 0 {
		return nil, fail.New(fail.Invalid, "%s is not one PKCS#8 private key in PEM", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fail.Wrap(fail.Invalid, err, "read key %s", name)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fail.New(fail.Invalid, "%s holds a %T, not an Ed25519 key", name, key)
	}
	return private, nil
}

// LoadOrCreateKey is ReadKey, but makes and keeps a new key where there is no
// file yet: PKCS#8 PEM, mode 0600, whole or not there at all. Of several
// processes that start at once all get the same key. A missing folder is made,
// mode 0700. What the disk refuses is fail.Unavailable.
func LoadOrCreateKey(source string) (ed25519.PrivateKey, error) {
	if strings.HasPrefix(source, pemPrefix) {
		return ReadKey(source)
	}
	err := createPrivate(source, func() ([]byte, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	})
	if err != nil {
		return nil, err
	}
	return ReadKey(source)
}

// LoadOrCreateSecret reads the 32 random bytes of a file, or makes them where
// there is no file yet, under the rules of LoadOrCreateKey. The value itself is
// "base64:" and the bytes in base64 (RFC 4648, section 4). They are the key of
// Links.
func LoadOrCreateSecret(source string) ([]byte, error) {
	if value, ok := strings.CutPrefix(source, secretPrefix); ok {
		return parseSecret("the value", func() ([]byte, error) {
			secret, err := base64.StdEncoding.DecodeString(value)
			return secret, fail.Wrap(fail.Invalid, err, "read the value")
		})
	}
	err := createPrivate(source, func() ([]byte, error) {
		secret := make([]byte, secretBytes)
		_, err := rand.Read(secret)
		return secret, err
	})
	if err != nil {
		return nil, err
	}
	return parseSecret(source, func() ([]byte, error) { return readPrivate(source) })
}

func parseSecret(name string, read func() ([]byte, error)) ([]byte, error) {
	secret, err := read()
	if err != nil {
		return nil, err
	}
	if len(secret) != secretBytes {
		return nil, fail.New(fail.Invalid, "%s is not a secret of %d bytes but has %d", name, secretBytes, len(secret))
	}
	return secret, nil
}

// readPrivate reads a small file that only its owner may read.
func readPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail.New(fail.NotFound, "there is no file %s", path)
	}
	if err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "read private file")
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "read private file")
	}
	if !info.Mode().IsRegular() {
		return nil, fail.New(fail.Invalid, "%s is not a file", path)
	}
	mode, ours := info.Mode().Perm(), true
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		ours = int(stat.Uid) == os.Geteuid()
	}
	if exposed(mode, ours) {
		return nil, fail.New(fail.Invalid, "%s can be used by others (mode %04o); replace it, or run: chmod 600 %[1]s", path, mode)
	}
	data, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "read private file %s", path)
	}
	return data, nil
}

// exposed reports whether others can use a file of the mode that ought not
// to. A file of our own could be closed to its group; one that is not ours was
// given to us by its group.
func exposed(mode fs.FileMode, ours bool) bool {
	if ours {
		return mode&0o077 != 0
	}
	return mode&0o037 != 0
}

// createPrivate writes a file that only its owner may read, unless one is
// there. It is written aside and linked into place, so that it is never seen
// in part and never replaces one that another process was quicker to make.
func createPrivate(path string, content func() ([]byte, error)) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	data, err := content()
	if err != nil {
		return fail.Wrap(fail.Internal, err, "make %s", path)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail.Wrap(fail.Unavailable, err, "make folder for %s", path)
	}
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // O_EXCL, mode 0600
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "make %s", path)
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fail.Wrap(fail.Unavailable, err, "write %s", path)
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fail.Wrap(fail.Unavailable, err, "make %s", path)
	}
	return fail.Wrap(fail.Unavailable, syncDir(dir), "make %s durable", path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
