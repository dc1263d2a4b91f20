package alchemist_test

import (
	"bytes"
	"testing"

	alchemist "github.com/opengundumstyle/audio-alchemist"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/token"
)

func TestMakeKeysMakesThemOnceAndAddsToThoseThatAreKnown(t *testing.T) {
	makeKeys := func(folder, known string) string {
		t.Helper()
		c, err := config.Load(func(name string) string {
			return map[string]string{"DATA_DIR": folder, "TOKEN_PUBLIC_KEYS": known}[name]
		})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := alchemist.MakeKeys(c, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	folder := t.TempDir()
	first := makeKeys(folder, "")
	if again := makeKeys(folder, ""); again != first {
		t.Errorf("the second call prints %s, want %s", again, first)
	}
	both, err := token.ParseKeySet([]byte(makeKeys(t.TempDir(), first)))
	if err != nil {
		t.Fatal(err)
	}
	old, err := token.ParseKeySet([]byte(first))
	if err != nil {
		t.Fatal(err)
	}
	if ids := both.IDs(); len(ids) != 2 || ids[0] != old.IDs()[0] {
		t.Errorf("old and new are %v, want two, the first of them %v", ids, old.IDs())
	}
}
