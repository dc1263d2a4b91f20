package alchemist_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// TestSIGKILLLosesNothing uploads 30 videos while the program is killed at 20
// random moments and started again. In the end every accepted job is done,
// each job has one MP3 of the right length and one mail, and nothing else is
// left: no blob, no temporary file, no process. On servers a start frees no
// lease, so that some jobs and mails wait a minute or two for theirs to run
// out; a mail that was sent when the program was killed is sent once more.
func TestSIGKILLLosesNothing(t *testing.T) { everywhere(t, sIGKILLLosesNothing) }

func sIGKILLLosesNothing(t *testing.T, p *place) {
	const jobs, kills, seconds = 30, 20, 8
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	port := freePort(t)
	content := video(t, seconds)
	run := func(env ...string) *server {
		s := launch(t, p, port, append([]string{"SWEEP_EVERY=500ms", "DRAIN_TIMEOUT=5s"}, env...)...)
		s.awaitReady(t)
		return s
	}
	s := run()
	c := s.admin(t)

	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		accepted []string
	)
	for i := range jobs {
		wg.Go(func() {
			id := c.uploadUntilAccepted(t, fmt.Sprintf("video %d.mp4", i), content)
			mu.Lock()
			defer mu.Unlock()
			accepted = append(accepted, id)
		})
	}
	for range kills {
		wait := time.NewTimer(time.Duration(random.IntN(900)) * time.Millisecond)
		<-wait.C
		s.signal(syscall.SIGKILL)
		<-s.exited
		s = run()
	}
	wg.Wait()
	c = &client{server: s, http: http.DefaultClient, token: c.token}
	for _, id := range accepted {
		if j := c.await(t, id); j.State != job.Done {
			t.Errorf("job %s ended %s: %v", id, j.State, j.Error)
		}
	}
	// An upload whose answer a kill cut off may have become a job, too.
	all := c.allJobs(t)
	if len(accepted) != jobs || len(all) < jobs {
		t.Fatalf("%d accepted, %d jobs", len(accepted), len(all))
	}
	for i, j := range all {
		all[i] = c.await(t, j.ID)
	}
	eventually(t, "each job has its mail", 5*time.Minute, func() bool { return len(byMessageID(t, s.mails(t))) >= len(all) })
	s.stop(t)

	// Whatever no job refers to goes with the next sweep, once it is old.
	p.age(t)
	s = run()
	wantWhatJobsReferTo(t, s, all)
	mails := s.mails(t)
	told := byMessageID(t, mails)
	if onServers := len(p.env) > 0; len(told) != len(all) || !onServers && len(mails) != len(all) {
		t.Errorf("%d mails, %d of them different, for %d jobs", len(mails), len(told), len(all))
	}
	for _, folder := range []string{"work", "blobs/tmp", "mail/tmp"} {
		if left := s.files(t, folder); len(left) != 0 {
			t.Errorf("left in %s: %v", folder, left)
		}
	}
	c = &client{server: s, http: http.DefaultClient, token: c.token}
	for _, j := range all {
		j = c.job(t, j.ID)
		if len(j.Results) != 1 {
			t.Fatalf("job %+v", j)
		}
		_, mp3 := c.call(t, "GET", j.Results[0].URL)
		if d := duration(t, mp3); d < seconds-0.1 || d > seconds+0.2 {
			t.Errorf("job %s: the MP3 lasts %g s, want %d", j.ID, d, seconds)
		}
	}
	if left := processesOf(t, p.data); len(left) > 1 {
		t.Errorf("processes left: %v", left)
	}
	s.stop(t)
	if strings.HasPrefix(p.blobs, "mongodb:") {
		wantNoStrayChunks(t, p)
	}
	t.Logf("%d jobs, %d of them not answered for; %d mails sent twice", len(all), len(all)-jobs, len(mails)-len(told))
}

// uploadUntilAccepted uploads again and again while the server comes and goes.
func (c *client) uploadUntilAccepted(t *testing.T, name string, content []byte) string {
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-deadline:
			t.Errorf("%s was never accepted", name)
			return ""
		case <-tick.C:
		}
		resp, err := c.http.Do(c.uploadRequest(t, name, bytes.NewReader(content)))
		if err != nil {
			continue
		}
		var body bytes.Buffer
		_, err = body.ReadFrom(resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusAccepted {
			return decode[job.View](t, body.Bytes()).ID
		}
	}
}

// allJobs reads every page of the list.
func (c *client) allJobs(t *testing.T) []job.View {
	t.Helper()
	var all []job.View
	for next := "/jobs?limit=7"; next != ""; {
		_, body := c.call(t, "GET", next)
		page := decode[struct {
			Jobs []job.View
			Next *string
		}](t, body)
		all, next = append(all, page.Jobs...), ""
		if page.Next != nil {
			next = *page.Next
		}
	}
	return all
}

// processesOf lists the processes that have a file below the folder open: the
// server itself, and what it started.
func processesOf(t *testing.T, folder string) []string {
	t.Helper()
	fds, err := os.ReadDir("/proc")
	if err != nil {
		return nil // no Linux: the folders above have to do
	}
	var all []string
	for _, p := range fds {
		open, err := os.ReadDir("/proc/" + p.Name() + "/fd")
		if err != nil {
			continue
		}
		for _, fd := range open {
			if target, err := os.Readlink("/proc/" + p.Name() + "/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, folder) {
				name, _ := os.ReadFile("/proc/" + p.Name() + "/comm")
				all = append(all, p.Name()+" "+strings.TrimSpace(string(name)))
				break
			}
		}
	}
	return all
}
