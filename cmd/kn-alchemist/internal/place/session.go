package place

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Session is a login to one address.
type Session struct {
	Address string    `json:"address"`
	Email   string    `json:"email"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// margin is how long a token that is used has to be valid yet.
const margin = 30 * time.Second

// Valid reports whether the token will do for a request.
func (s Session) Valid(now time.Time) bool { return s.Token != "" && now.Add(margin).Before(s.Expires) }

// Sessions is the folder with a file for each address, for its user alone.
type Sessions struct{ Dir string }

// UserSessions are those of who runs the program, in a folder below
// os.UserConfigDir.
func UserSessions() (Sessions, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return Sessions{}, fail.New(fail.Internal, "There is no folder for configuration: %v.", err)
	}
	return Sessions{Dir: filepath.Join(dir, "audio-alchemist", "sessions")}, nil
}

func (s Sessions) file(address string) string {
	sum := sha256.Sum256([]byte(address))
	return filepath.Join(s.Dir, hex.EncodeToString(sum[:12])+".json")
}

// Get returns the login to an address, an empty one where there is none that
// can be read.
func (s Sessions) Get(address string) (Session, error) {
	text, err := os.ReadFile(s.file(address))
	if errors.Is(err, fs.ErrNotExist) {
		return Session{}, nil
	}
	if err != nil {
		return Session{}, fail.New(fail.Internal, "The login cannot be read: %v.", err)
	}
	var got Session
	_ = json.Unmarshal(text, &got) // one that is damaged is made anew
	if got.Address != address {
		return Session{}, nil
	}
	return got, nil
}

// Put keeps a login, in a file that its user alone can read.
func (s Sessions) Put(in Session) error {
	text, err := json.Marshal(in)
	if err == nil {
		err = os.MkdirAll(s.Dir, 0o700)
	}
	var f *os.File
	if err == nil {
		f, err = os.CreateTemp(s.Dir, ".session-*") // has mode 0600
	}
	if err != nil {
		return fail.New(fail.Internal, "The login cannot be kept: %v.", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.file(in.Address))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fail.New(fail.Internal, "The login cannot be kept: %v.", err)
	}
	return nil
}

// Remove forgets the login to an address; false where there is none.
func (s Sessions) Remove(address string) (bool, error) {
	err := os.Remove(s.file(address))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fail.New(fail.Internal, "The login cannot be removed: %v.", err)
	}
	return true, nil
}
