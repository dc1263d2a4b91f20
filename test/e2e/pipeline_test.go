//go:build e2e

package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/blob/gridfs"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
)

// zeroWithin is how long a function may take to be gone after its last
// request: the window and the grace period of the autoscaler, and the pod's
// own draining.
const zeroWithin = 4 * time.Minute

func TestAVideoBecomesAnMP3AlsoFromZero(t *testing.T) {
	film := video(t, 3)
	for _, from := range []string{"as deployed", "from zero"} {
		begin := time.Now()
		p := the.admin(t)
		id := p.curl(t, film)
		t.Cleanup(func() { p.remove(id) })
		mp3 := p.done(t, id, 2*time.Minute)
		t.Logf("%s: from login to the MP3 %v", from, time.Since(begin).Round(100*time.Millisecond))
		if n := samples(t, mp3); n < 3*44100-1152 || n > 3*44100+1152 {
			t.Errorf("the MP3 has %d samples, want those of 3 s", n)
		}
		mail := the.awaitMail(t, id, "done", 0)
		link := regexp.MustCompile(`http://\S+/download\?\S+`).FindString(unfold(mail))
		if got := send(t, (&person{}).request(t, http.MethodGet, link, nil), http.StatusOK); !bytes.Equal(got, mp3) {
			t.Errorf("the link of the mail, %s, leads to %d bytes, want the MP3 of %d", link, len(got), len(mp3))
		}
		if from == "as deployed" {
			the.awaitZero(t)
		}
	}
}

// curl uploads as the README says, and returns the id of the job.
func (p *person) curl(t *testing.T, film []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "talk.mp4")
	if err := os.WriteFile(path, film, 0o600); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(p.gateway, "http://")
	cmd := exec.Command("curl", "-sS", "-w", "\n%{http_code}", "--connect-to", host+":80:"+os.Getenv("INGRESS"),
		"-H", "Authorization: Bearer "+p.token, "-F", "file=@"+path, p.gateway+"/upload")
	out, err := cmd.CombinedOutput()
	found := regexp.MustCompile(`"id":"([^"]+)"[^\n]*\s+202$`).FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("curl: %v\n%s", err, out)
	}
	return string(found[1])
}

// unfold undoes quoted-printable's soft line breaks.
func unfold(mail string) string {
	return strings.ReplaceAll(strings.ReplaceAll(mail, "=\r\n", ""), "=3D", "=")
}

// awaitZero waits until no function has a pod. The sweep, which comes once a
// minute, wakes reconcile again and again.
func (w *world) awaitZero(t *testing.T) {
	t.Helper()
	begin := time.Now()
	for _, f := range functions() {
		eventually(t, f+" is at zero pods", zeroWithin, func() bool { return w.pods(t, f) == 0 })
	}
	t.Logf("all functions were at zero pods after %v", time.Since(begin).Round(time.Second))
}

// TestAnEventPostedToTheBrokerStartsAConversion is how another program uses the
// system by an event alone: it stores a video and its job, and posts the event.
func TestAnEventPostedToTheBrokerStartsAConversion(t *testing.T) {
	books, err := ledger.Open(t.Context(), the.mysql.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = books.Close() }()
	blobs, err := gridfs.Open(the.mongo.URL(), gridfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blobs.Close() }()
	owner, err := books.UserByEmail(t.Context(), the.secret(t, "admin", "email"))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := blobs.Put(t.Context(), blob.Videos, blob.NewID(), bytes.NewReader(video(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	j, err := books.CreateJob(t.Context(), job.Job{ID: job.NewID(), Owner: owner.ID, Name: "talk.mp4", Source: stored.ID, Bytes: stored.Bytes})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	the.post(t, ledger.UploadedEvent(j))
	the.admin(t).done(t, j.ID, time.Minute)
	t.Logf("from the event to the MP3 %v", time.Since(begin).Round(100*time.Millisecond))
	the.awaitMail(t, j.ID, "done", 0)
}

// post sends an event to the broker's ingress by curl, in structured mode.
func (w *world) post(t *testing.T, e event.Event) {
	t.Helper()
	text, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	url := kubectl(t, "-n", w.events(), "get", "broker", "default", "-o", "jsonpath={.status.address.url}")
	ip := kubectl(t, "-n", w.events(), "get", "service", "default-broker-ingress", "-o", "jsonpath={.spec.clusterIP}")
	out := command(t, "curl", "-sS", "-w", "%{http_code}", "--connect-to", "::"+ip+":80",
		"-H", "Content-Type: application/cloudevents+json", "-d", string(text), url)
	if out != "202" {
		t.Fatalf("the broker answers %s, want 202", out)
	}
}

func TestTwelveUploadsAtOnceAreConvertedSideBySide(t *testing.T) {
	const uploads = 12
	p, film := the.admin(t), video(t, 60)
	begin := time.Now()
	ids := make([]string, uploads)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			j, err := p.tryUpload(t, film)
			if err != nil {
				t.Error(err)
			}
			ids[i] = j.ID
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d uploads were taken within %v", uploads, time.Since(begin).Round(100*time.Millisecond))
	most := 0
	for _, id := range ids {
		eventually(t, "job "+id+" has ended", 10*time.Minute, func() bool {
			most = max(most, the.running(t, "convert"))
			return p.job(t, id).State.Ended()
		})
	}
	t.Logf("all were done after %v, on up to %d pods of convert", time.Since(begin).Round(time.Second), most)
	if most < 2 {
		t.Errorf("convert had %d pods at most, want several", most)
	}
	for _, id := range ids {
		p.done(t, id, time.Second)
		the.awaitMail(t, id, "done", 0)
	}
	eventually(t, "convert is at zero again", zeroWithin, func() bool { return the.pods(t, "convert") == 0 })
}

// running counts the pods of a function that take requests.
func (w *world) running(t *testing.T, function string) int {
	out, err := exec.Command("kubectl", "-n", w.namespace, "get", "pod", "-l", "serving.knative.dev/service="+function,
		"-o", `jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`).Output()
	if err != nil {
		t.Error(err)
	}
	return strings.Count(string(out), "True")
}
