package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestKeyIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "login.pem")
	if _, err := ReadKey(path); !fail.Is(err, fail.NotFound) {
		t.Fatalf("ReadKey before there is one = %v", err)
	}
	made, err := LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreateKey(path)
	if err != nil || !again.Equal(made) {
		t.Fatalf("the second start has another key: %v", err)
	}
	read, err := ReadKey(path)
	if err != nil || !read.Equal(made) {
		t.Fatalf("ReadKey gives another key: %v", err)
	}
	for path, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): os.ModeDir | 0o700} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
	onlyFile(t, path)
}

// onlyFile checks that nothing else is left in the folder of the file.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("the folder has %v, %v, want only %s", entries, err, filepath.Base(path))
	}
}

func TestManyStartsAtOnceGetOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "login.pem")
	keys := make([]ed25519.PrivateKey, 20)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			var err error
			if keys[i], err = LoadOrCreateKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, k := range keys {
		if !k.Equal(keys[0]) {
			t.Errorf("start %d has another key than the first", i)
		}
	}
	onlyFile(t, path)
}

func TestSecretIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "links.key")
	made, err := LoadOrCreateSecret(path)
	if err != nil || len(made) != 32 || bytes.Equal(made, make([]byte, 32)) {
		t.Fatalf("LoadOrCreateSecret = %x, %v", made, err)
	}
	again, err := LoadOrCreateSecret(path)
	if err != nil || !bytes.Equal(again, made) {
		t.Fatalf("the second start has another secret: %v", err)
	}
	other, err := LoadOrCreateSecret(filepath.Join(t.TempDir(), "links.key"))
	if err != nil || bytes.Equal(other, made) {
		t.Fatalf("another place has the same secret: %v", err)
	}
	onlyFile(t, path)
}

func TestKeysAreTakenByValue(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pkcs8(t, private))
	for _, read := range []func(string) (ed25519.PrivateKey, error){ReadKey, LoadOrCreateKey} {
		if key, err := read(text); err != nil || !key.Equal(private) {
			t.Errorf("a key by its value: %v", err)
		}
		cut := text[:60]
		if _, err := read(cut); !fail.Is(err, fail.Invalid) || strings.Contains(err.Error(), cut[30:]) {
			t.Errorf("a key that is cut short: %v, want fail.Invalid that does not repeat it", err)
		}
	}
	secret := bytes.Repeat([]byte{7}, secretBytes)
	if got, err := LoadOrCreateSecret("base64:" + base64.StdEncoding.EncodeToString(secret)); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("a secret by its value: %v", err)
	}
	for _, bad := range []string{"base64:", "base64:c2hvcnQ=", "base64:no base64!"} {
		if _, err := LoadOrCreateSecret(bad); !fail.Is(err, fail.Invalid) {
			t.Errorf("%q: %v, want fail.Invalid", bad, err)
		}
	}
}

func TestBadKeyFilesAreRefused(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, another := pkcs8(t, private), pkcs8(t, ec)
	tests := map[string]struct {
		data []byte
		mode os.FileMode
		want string // in the error
	}{
		"group may read":   {good, 0o640, "chmod 600"},
		"all may read":     {good, 0o644, "mode 0644"},
		"all may write":    {good, 0o602, "can be used by others"},
		"empty":            {nil, 0o600, "is not one PKCS#8 private key in PEM"},
		"cut short":        {good[:40], 0o600, "is not one PKCS#8 private key in PEM"},
		"two keys":         {append(good, good...), 0o600, "is not one PKCS#8 private key in PEM"},
		"another type":     {another, 0o600, "not an Ed25519 key"},
		"damaged contents": {bytes.Replace(good, []byte("MC4C"), []byte("AAAA"), 1), 0o600, "read key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "login.pem")
			write(t, path, tt.data, tt.mode)
			for _, read := range []func(string) (ed25519.PrivateKey, error){ReadKey, LoadOrCreateKey} {
				key, err := read(path)
				if key != nil || !fail.Is(err, fail.Invalid) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error = %v, want one with %q", err, tt.want)
				}
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, tt.data) {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

func TestWhoMayUseAKeyFile(t *testing.T) {
	for mode, want := range map[os.FileMode]struct{ ours, mounted bool }{ // whether it is refused
		0o600: {}, 0o400: {},
		0o440: {ours: true}, 0o640: {ours: true},
		0o460: {true, true}, 0o450: {true, true},
		0o444: {true, true}, 0o644: {true, true}, 0o602: {true, true}, 0o601: {true, true},
	} {
		if got := exposed(mode, true); got != want.ours {
			t.Errorf("mode %04o, our own file: refused %v", mode, got)
		}
		if got := exposed(mode, false); got != want.mounted {
			t.Errorf("mode %04o, a mounted file: refused %v", mode, got)
		}
	}
	if os.Geteuid() != 0 {
		return // only root can make a file of somebody else's
	}
	path := filepath.Join(t.TempDir(), "login.pem")
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, pkcs8(t, key), 0o440)
	if err := os.Chown(path, 65534, -1); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadKey(path); err != nil || !got.Equal(key) {
		t.Errorf("a mounted file that our group may read: %v", err)
	}
}

func TestBadSecretFilesAreRefused(t *testing.T) {
	tests := map[string]struct {
		data []byte
		mode os.FileMode
	}{
		"all may read": {make([]byte, 32), 0o644},
		"short":        {make([]byte, 31), 0o600},
		"long":         {make([]byte, 33), 0o600},
		"empty":        {nil, 0o600},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "links.key")
			write(t, path, tt.data, tt.mode)
			if secret, err := LoadOrCreateSecret(path); secret != nil || !fail.Is(err, fail.Invalid) {
				t.Errorf("LoadOrCreateSecret = %x, %v", secret, err)
			}
		})
	}
}

func TestKeyPathThatCannotBe(t *testing.T) {
	if _, err := LoadOrCreateKey(t.TempDir()); !fail.Is(err, fail.Invalid) {
		t.Errorf("a folder as the file: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil, 0o600)
	if _, err := LoadOrCreateKey(filepath.Join(file, "login.pem")); !fail.Is(err, fail.Unavailable) {
		t.Errorf("a file as the folder: %v", err)
	}
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func write(t *testing.T, path string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}
