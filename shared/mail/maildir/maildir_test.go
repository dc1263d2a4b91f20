package maildir

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/emersion/go-maildir"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail"
	"github.com/opengundumstyle/audio-alchemist/shared/mail/mailtest"
)

func box(t *testing.T) (*Sender, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data", "mail")
	s, err := New(dir, mailtest.From)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// glob returns what is in one of the folders of a maildir.
func glob(t *testing.T, dir, folder string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestConformance(t *testing.T) {
	mailtest.Run(t, func(t *testing.T) (mail.Sender, mailtest.Inbox) {
		s, dir := box(t)
		return s, func() (all [][]byte) {
			for _, name := range glob(t, dir, "new") {
				raw, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, raw)
			}
			if left := glob(t, dir, "tmp"); len(left) != 0 {
				t.Errorf("left over: %v", left)
			}
			return all
		}
	})
}

func TestAMailProgramFindsTheMail(t *testing.T) {
	s, dir := box(t)
	if err := s.Send(t.Context(), mailtest.Message(1)); err != nil {
		t.Fatal(err)
	}
	unseen, err := maildir.Dir(dir).Unseen()
	if err != nil || len(unseen) != 1 || unseen[0].Key() != mailtest.Message(1).ID {
		t.Fatalf("unseen: %v, %v", unseen, err)
	}
	raw, err := os.ReadFile(unseen[0].Filename())
	if err != nil || bytes.Contains(raw, []byte("\r")) {
		t.Errorf("error %v, or lines that end in CRLF:\n%q", err, raw)
	}
	if fi, err := os.Stat(unseen[0].Filename()); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestTheSameMailIsDeliveredOnce(t *testing.T) {
	s, dir := box(t)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if err := s.Send(t.Context(), mailtest.Message(1)); err != nil {
				t.Errorf("Send: %v", err)
			}
		})
	}
	wg.Wait()
	if n := len(glob(t, dir, "new")); n != 1 {
		t.Fatalf("%d mails, want 1", n)
	}
	if left := glob(t, dir, "tmp"); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestAMailThatWasReadIsNotDeliveredAgain(t *testing.T) {
	for name, flags := range map[string][]maildir.Flag{
		"seen": {maildir.FlagSeen}, "not yet seen": nil, "in the trash": {maildir.FlagSeen, maildir.FlagTrashed},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := box(t)
			if err := s.Send(t.Context(), mailtest.Message(1)); err != nil {
				t.Fatal(err)
			}
			read, err := maildir.Dir(dir).Unseen() // moves it from new to cur
			if err != nil || len(read) != 1 {
				t.Fatalf("%v, %v", read, err)
			}
			if err := read[0].SetFlags(flags); err != nil {
				t.Fatal(err)
			}
			if err := s.Send(t.Context(), mailtest.Message(1)); err != nil {
				t.Fatal(err)
			}
			if n := len(glob(t, dir, "new")); n != 0 {
				t.Errorf("%d mails again", n)
			}
		})
	}
}

func TestWhatAKilledDeliveryLeftIsTakenUp(t *testing.T) {
	s, dir := box(t)
	m := mailtest.Message(1)
	half := bytes.Repeat([]byte("half a mail, and longer than the whole one\n"), 1000)
	if err := os.WriteFile(filepath.Join(dir, "tmp", m.ID), half, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	all := glob(t, dir, "new")
	if len(all) != 1 || len(glob(t, dir, "tmp")) != 0 {
		t.Fatalf("new: %v, tmp: %v", all, glob(t, dir, "tmp"))
	}
	raw, err := os.ReadFile(all[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := mailtest.Parse(t, raw); got.Text != m.Text || got.HTML != m.HTML || bytes.Contains(raw, half[:20]) {
		t.Errorf("got %+v", got)
	}
}

func TestUnusable(t *testing.T) {
	if _, err := New("/dev/null/mail", mailtest.From); !fail.Is(err, fail.Unavailable) {
		t.Errorf("no folder: %v, want unavailable", err)
	}
	if _, err := New(t.TempDir(), "nobody"); !fail.Is(err, fail.Invalid) {
		t.Errorf("no address: %v, want invalid", err)
	}
	s, dir := box(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), mailtest.Message(1)); !fail.Is(err, fail.Unavailable) {
		t.Errorf("lost folder: %v, want unavailable", err)
	}
}
