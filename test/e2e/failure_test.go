//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/gridfs"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func TestAConvertThatIsKilledThreeTimesEndsItsJobOnce(t *testing.T) {
	t.Parallel() // it waits for retries most of the time
	p := the.admin(t)
	before := the.results(t)
	j := p.upload(t, video(t, 3600), "bitrate", "32k") // little to store, as much to do
	for kill := range 3 {
		attempt := strconv.Itoa(kill + 1)
		eventually(t, "attempt "+attempt+" is under way", 3*time.Minute, func() bool {
			v := p.job(t, j.ID)
			if v.State.Ended() {
				t.Fatalf("the job ended before it was killed %d times: %+v", kill+1, v)
			}
			return v.State == job.Converting && v.Progress > 0 && the.logged("convert", "conversion started", j.ID, `"attempt":`+attempt+`,`)
		})
		kubectl(t, "-n", the.namespace, "delete", "pod", "-l", "serving.knative.dev/service=convert", "--force", "--grace-period=0")
	}
	p.done(t, j.ID, 5*time.Minute)
	the.awaitMail(t, j.ID, "done", 0)
	the.once.Store(j.ID, true)
	if now := the.results(t); now != before+1 {
		t.Errorf("%d more MP3s are stored, want 1", now-before)
	}
}

// logged reports whether a pod of a function that is there has logged a line
// with all of this.
func (w *world) logged(function string, all ...string) bool {
	log, _ := exec.Command("kubectl", "-n", w.namespace, "logs", "-l", "serving.knative.dev/service="+function, "-c", "user-container", "--tail=-1").Output()
	for line := range strings.Lines(string(log)) {
		if !slices.ContainsFunc(all, func(s string) bool { return !strings.Contains(line, s) }) {
			return true
		}
	}
	return false
}

// results counts the MP3s that are stored.
func (w *world) results(t *testing.T) int {
	t.Helper()
	blobs, err := gridfs.Open(w.mongo.URL(), gridfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blobs.Close() }()
	n := 0
	for _, err := range blobs.List(t.Context(), blob.Audio) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// mailsOf counts the mails about a job, by their Message-IDs.
func (w *world) mailsOf(id string) int {
	n := 0
	for _, m := range w.mail.Mails() {
		if strings.Contains(m, "<"+id+".") {
			n++
		}
	}
	return n
}

var (
	digest  = regexp.MustCompile("@sha256:[0-9a-f]{64}")
	workDir = regexp.MustCompile("(\n *)- name: WORK_DIR")
)

func TestABrokenConvertFailsJobsThatARepairMends(t *testing.T) {
	good := the.manifest(t, "convert")
	t.Cleanup(func() {
		the.replace(t, "convert", good)
		the.retry(t, 9)
	})
	the.retry(t, 1) // nine take a quarter of an hour
	p, film := the.admin(t), video(t, 1)
	for name, broken := range map[string]string{
		"an image that is not there": digest.ReplaceAllString(good, "@sha256:"+strings.Repeat("0", 64)),
		"no ffmpeg":                  workDir.ReplaceAllString(good, "$1- name: FFMPEG$1  value: /nowhere/ffmpeg$0"),
	} {
		t.Run(name, func(t *testing.T) {
			the.replace(t, "convert", broken)
			j := p.upload(t, film)
			failed := p.await(t, j.ID, 5*time.Minute)
			if failed.State != job.Failed || failed.Error == nil || *failed.Error == "" {
				t.Fatalf("ended %+v, want failed for a reason", failed)
			}
			t.Logf("the job failed: %s", *failed.Error)
			the.awaitMail(t, j.ID, "failed", 0)

			the.replace(t, "convert", good)
			kubectl(t, "-n", the.namespace, "wait", "--for=condition=Ready", "ksvc/convert", "--timeout=120s")
			the.alchemist(t, "deadletter", "replay", "--all")
			p.done(t, j.ID, 2*time.Minute)
			the.awaitMail(t, j.ID, "done", 1)
		})
	}
}

// retry has the Trigger of convert try again so often, and waits until nobody
// delivers who knows of another number.
func (w *world) retry(t *testing.T, times int) {
	t.Helper()
	patch := fmt.Sprintf(`{"spec":{"delivery":{"retry":%d}}}`, times)
	if out, err := exec.Command("kubectl", "-n", w.events(), "patch", "trigger", "convert", "--type=merge", "-p", patch).CombinedOutput(); err != nil {
		t.Fatalf("kubectl patch: %v\n%s", err, out)
	}
	const knows = `jsonpath={range .items[*]}{.metadata.name} {.spec.containers[0].env[?(@.name=="RETRY")].value} {.status.containerStatuses[0].ready}{"\n"}{end}`
	eventually(t, fmt.Sprintf("the dispatcher of convert tries %d times more", times), 2*time.Minute, func() bool {
		out, err := exec.Command("kubectl", "-n", w.events(), "get", "pod", "-o", knows).Output()
		var dispatchers []string
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "convert-dispatcher-") {
				dispatchers = append(dispatchers, strings.TrimSpace(line))
			}
		}
		return err == nil && len(dispatchers) == 1 && strings.HasSuffix(dispatchers[0], fmt.Sprintf(" %d true", times))
	})
}

// manifest is what tools/deploy applied for a function.
func (w *world) manifest(t *testing.T, function string) string {
	t.Helper()
	all, err := os.ReadFile(filepath.Join(root(), "bin/deploy", w.namespace, "functions.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range strings.Split(string(all), "\n---\n") {
		if strings.Contains(doc, "kind: Service\n") && strings.Contains(doc, "\n  name: "+function+"\n") {
			return doc
		}
	}
	t.Fatalf("there is no Service %s", function)
	return ""
}

// replace puts a manifest in place of a function and all its revisions, which
// is more than an update can break: Knative goes on with the last good one.
func (w *world) replace(t *testing.T, function, manifest string) {
	t.Helper()
	if out, err := exec.Command("kubectl", "-n", w.namespace, "delete", "ksvc", function, "--ignore-not-found", "--wait").CombinedOutput(); err != nil {
		t.Fatalf("kubectl delete: %v\n%s", err, out)
	}
	// What it owned goes after it, and serves until then.
	eventually(t, "nothing leads to "+function, time.Minute, func() bool {
		out, err := exec.Command("kubectl", "-n", w.namespace, "get", "route.serving.knative.dev,ingresses.networking.internal.knative.dev,revision",
			"-l", "serving.knative.dev/service="+function, "-o", "name").Output()
		return err == nil && len(out) == 0
	})
	cmd := exec.Command("kubectl", "apply", "--server-side", "--force-conflicts", "--field-manager=audio-alchemist", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, out)
	}
}

func TestServersThatAreAwayUnderLoadLoseNothing(t *testing.T) {
	const away = 20 * time.Second
	the.sweep(t, "* * * * *") // publishes what RabbitMQ could not take
	film := video(t, 1)
	for name, s := range map[string]*servers.Server{"MySQL": the.mysql, "MongoDB": the.mongo, "RabbitMQ": the.rabbit} {
		t.Run(name, func(t *testing.T) {
			p := the.admin(t)
			l := the.load(t, p, film, 2)
			l.until(t, 3)
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(away)
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			l.until(t, l.count()+3)
			taken, refused := l.stop()
			for _, id := range taken {
				p.done(t, id, 10*time.Minute)
				the.awaitMail(t, id, "done", 0)
			}
			t.Logf("%d uploads were taken and %d refused; all that were taken are done", len(taken), refused)
		})
	}
}

// load uploads a video again and again.
type load struct {
	mu      sync.Mutex
	taken   []string
	refused int
	end     chan struct{}
	ended   sync.WaitGroup
}

// load has so many upload a video, each once a second at most.
func (w *world) load(t *testing.T, p *person, film []byte, at int) *load {
	l := &load{end: make(chan struct{})}
	for range at {
		l.ended.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-l.end:
					return
				case <-tick.C:
				}
				j, err := p.tryUpload(t, film)
				l.mu.Lock()
				if err == nil {
					l.taken = append(l.taken, j.ID)
				} else {
					l.refused++
					t.Logf("refused: %v", err)
				}
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.taken)
}

// until waits for so many uploads that were taken.
func (l *load) until(t *testing.T, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d uploads were taken", n), 3*time.Minute, func() bool { return l.count() >= n })
}

// stop ends the load and returns the jobs.
func (l *load) stop() (taken []string, refused int) {
	select {
	case <-l.end:
	default:
		close(l.end)
	}
	l.ended.Wait()
	return l.taken, l.refused
}
