package alchemist_test

import (
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

// TestAMailServerThatComesBackGetsOneMail takes the mail server away once a
// mail has gone through it, so that a connection to it is kept, and gives it
// back when the next mail could not be sent.
func TestAMailServerThatComesBackGetsOneMail(t *testing.T) {
	mailbox := servers.NewMailbox(t)
	p := embedded(t)
	p.env = []string{"MAIL_URL=" + mailbox.URL()}
	p.inbox = func(*testing.T) []string { return mailbox.Mails() }
	s := start(t, p)
	c := s.admin(t)
	content := video(t, 1)
	c.await(t, c.upload(t, "before.mp4", content).ID)
	eventually(t, "the first mail is there", 10*time.Second, func() bool { return len(s.mails(t)) == 1 })

	mailbox.Close()
	if j := c.await(t, c.upload(t, "meanwhile.mp4", content).ID); j.State != job.Done {
		t.Errorf("without a mail server the job ended %+v", j)
	}
	eventually(t, "the mail could not be sent", 30*time.Second, func() bool { return strings.Contains(s.log.String(), "event will be delivered again") })
	if err := mailbox.Open(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second mail is there", 30*time.Second, func() bool { return len(s.mails(t)) > 1 })
	if code := s.stop(t); code != 0 { // it has settled what it sent
		t.Errorf("exit code %d", code)
	}
	mails := s.mails(t)
	if told := byMessageID(t, mails); len(mails) != 2 || len(told) != 2 {
		t.Errorf("%d mails, %d of them different, want 2", len(mails), len(told))
	}
	if !strings.Contains(mails[1], "Subject: Ready: meanwhile.mp4") {
		t.Errorf("the second mail is about something else:\n%s", mails[1])
	}
}
