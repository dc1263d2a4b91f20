package place

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// answering puts a kn into PATH that prints a file of testdata for any
// command: what kn 0.44 has printed.
func answering(t *testing.T, script string) Cluster {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kn"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return Cluster{Namespace: "audio-alchemist", Getenv: func(name string) string { return map[string]string{"KUBECONFIG": "x"}[name] }}
}

func TestTheGatewayOfACluster(t *testing.T) {
	for name, tt := range map[string]struct {
		script, want, says string
	}{
		"there":              {`[ "$*" = "service describe gateway -n audio-alchemist -o url" ] && echo http://gateway.example.org`, "http://gateway.example.org", ""},
		"without an address": {`true`, "", "no address"},
		"not there":          {`echo "Error: services.serving.knative.dev \"gateway\" not found" >&2; echo "Run 'kn --help' for usage" >&2; exit 1`, "", `"gateway" not found.`},
		"silent":             {`exit 3`, "", "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answering(t, tt.script).Gateway(t.Context())
			if got != tt.want || tt.says != "" && (!fail.Is(err, fail.Unavailable) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestTheFunctionsOfACluster(t *testing.T) {
	path, err := filepath.Abs("testdata/services.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := answering(t, `[ "$*" = "service list -n audio-alchemist -o json" ] && cat `+path).Functions(t.Context())
	want := []Function{
		{Name: "convert", Detail: `RevisionFailed: Revision "convert-00002" failed with message: no such image.`, URL: "http://convert.audio-alchemist.kn.test"},
		{Name: "gateway", Ready: true, URL: "http://gateway.audio-alchemist.kn.test"},
		{Name: "new", Detail: "not reconciled yet"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := answering(t, "echo no JSON").Functions(t.Context()); !fail.Is(err, fail.Internal) {
		t.Errorf("of no list: %v", err)
	}
}

func TestWhetherThereIsACluster(t *testing.T) {
	c := answering(t, "")
	if !c.There() {
		t.Error("with kn and KUBECONFIG there is none")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	c.Getenv = func(string) string { return "" }
	if c.There() {
		t.Error("without a kube context there is one")
	}
	if err := os.MkdirAll(filepath.Join(home, ".kube"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".kube", "config"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !c.There() {
		t.Error("with the config of the user there is none")
	}
	t.Setenv("PATH", t.TempDir())
	if c.There() {
		t.Error("without kn there is one")
	}
}

func TestSessions(t *testing.T) {
	s := Sessions{Dir: filepath.Join(t.TempDir(), "a", "b")}
	if got, err := s.Get("http://x"); err != nil || got != (Session{}) {
		t.Errorf("of none: %+v, %v", got, err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	x := Session{Address: "http://x", Email: "anna@example.com", Token: "t1", Expires: now.Add(time.Hour)}
	y := Session{Address: "http://y", Email: "ben@example.com", Token: "t2", Expires: now}
	for _, in := range []Session{x, y} {
		if err := s.Put(in); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []Session{x, y} {
		if got, err := s.Get(want.Address); err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if !x.Valid(now) || y.Valid(now) || x.Valid(now.Add(time.Hour-margin)) || (Session{Expires: now.Add(time.Hour)}).Valid(now) {
		t.Error("what is valid is not")
	}
	files, err := filepath.Glob(s.Dir + "/*")
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range append(files, s.Dir) {
		if fi, err := os.Stat(f); err != nil || fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", f, fi.Mode(), err)
		}
	}
	if err := os.WriteFile(s.file("http://x"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get("http://x"); err != nil || got != (Session{}) {
		t.Errorf("of a damaged one: %+v, %v", got, err)
	}
	for _, want := range []bool{true, false} {
		if there, err := s.Remove("http://y"); there != want || err != nil {
			t.Errorf("removed: %v, %v", there, err)
		}
	}
}
