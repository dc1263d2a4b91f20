package interop_test

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/test/interop"
)

func TestAVideoBecomesAnMP3AndAMail(t *testing.T) {
	// One delivery to convert at once keeps them in order.
	w := newWorld(t, setting{change: func(r *broker.Trigger) { r.Parallelism = 1 }})
	p := w.person(t)

	first := p.await(t, p.upload(t, video(t)).ID)
	if first.State != job.Done || len(first.Results) != 1 {
		t.Fatalf("ended %+v", first)
	}
	if mp3 := p.download(t, first.Results[0].FID); int64(len(mp3)) != first.Results[0].Bytes || !bytes.HasPrefix(mp3, []byte("ID3")) {
		t.Errorf("downloaded %d bytes that begin with %q, want an MP3 of %d", len(mp3), mp3[:min(3, len(mp3))], first.Results[0].Bytes)
	}
	w.awaitMail(t, first.ID, "done")

	broken := p.await(t, p.upload(t, []byte("this is a text, not a video")).ID)
	if broken.State != job.Failed || broken.Error == nil || *broken.Error == "" || len(broken.Results) != 0 {
		t.Errorf("a text ended %+v", broken)
	}
	w.awaitMail(t, broken.ID, "failed")

	w.repeat(t, first.ID, 3)
	// Once this is converted, the repeated events are dealt with.
	last := p.await(t, p.upload(t, video(t)).ID)
	w.awaitMail(t, last.ID, "done")
	if again := p.job(t, first.ID); !again.UpdatedAt.Equal(first.UpdatedAt) || again.Results[0].FID != first.Results[0].FID {
		t.Errorf("after its event came again the job is %+v, was %+v", again, first)
	}
	if mp3s, mails := w.audio(t), len(w.mails.Mails()); mp3s != 2 || mails != 3 {
		t.Errorf("%d MP3s and %d mails of two videos and a text, want 2 and 3", mp3s, mails)
	}
}

// repeat sends the event of a job's upload again, as often as this.
func (w *world) repeat(t *testing.T, id string, times int) {
	t.Helper()
	j, err := w.ledger.Job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	replies := w.watch(t, w.plane.Exchange, "type", event.TypeConversionCompleted)
	for range times {
		if err := event.NewSender(w.plane.IngressURL()).Send(t.Context(), ledger.UploadedEvent(j)); err != nil {
			t.Fatal(err)
		}
	}
	for range times {
		if m := replies(); m.MessageId != id+".0.conversion.completed" {
			t.Errorf("convert answered the repeated event with %s", m.MessageId)
		}
	}
}

// awaitMail waits for the mail about the outcome of a job's first run.
func (w *world) awaitMail(t *testing.T, id, outcome string) {
	t.Helper()
	eventually(t, "a mail says that the job is "+outcome, time.Minute, func() bool {
		return strings.Contains(strings.Join(w.mails.Mails(), ""), "<"+id+".0."+outcome+"@")
	})
}

func TestRetriesOutlastAConvertThatIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{without: []string{"convert"}})
	p := w.person(t)
	hungUp := w.hangUp(t, "convert", 2)
	j := p.upload(t, video(t))
	hungUp()
	if now := p.job(t, j.ID); now.State != job.Queued {
		t.Errorf("after two deliveries that nobody answered the job is %s, want queued", now.State)
	}
	w.start(t, "convert")
	if done := p.await(t, j.ID); done.State != job.Done {
		t.Errorf("ended %+v", done)
	}
	w.awaitMail(t, j.ID, "done")
}

// hangUp takes the place of a function and hangs up on whoever calls. What it
// returns waits for so many calls and clears the place.
func (w *world) hangUp(t *testing.T, function string, calls int) (wait func()) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(w.ports[function])))
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for range calls {
			conn, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close()
		}
	})
	timer := time.AfterFunc(time.Minute, func() { _ = l.Close() })
	return func() {
		serving.Wait()
		timer.Stop()
		_ = l.Close()
	}
}

func TestADeadLetterFailsItsJobAndTheOwnerCanRetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{without: []string{"convert"}, change: func(r *broker.Trigger) {
		r.Delivery.Retry, r.Delivery.Delay = 1, 100*time.Millisecond
	}})
	p := w.person(t)
	letters := w.watch(t, w.route(t, "convert").DLX, "type", event.TypeVideoUploaded)
	j := p.upload(t, video(t))

	letter := letters()
	if h := letter.Headers; h[broker.ErrorDest] != w.url("convert") || h[broker.ErrorCode] != int32(-1) || h["id"] != j.ID+".0.video.uploaded" {
		t.Errorf("the dead letter says %v", h)
	}
	failed := p.await(t, j.ID)
	if failed.State != job.Failed || failed.Error == nil || !strings.Contains(*failed.Error, "tried several times") {
		t.Errorf("ended %+v", failed)
	}
	w.awaitMail(t, j.ID, "failed")

	w.start(t, "convert")
	send(t, p.request(t, http.MethodPost, "/jobs/"+j.ID+"/retry", nil), http.StatusAccepted)
	if done := p.await(t, j.ID); done.State != job.Done {
		t.Errorf("ended %+v after the retry", done)
	}
	eventually(t, "a mail says that the second run is done", time.Minute, func() bool {
		return strings.Contains(strings.Join(w.mails.Mails(), ""), "<"+j.ID+".1.done@")
	})
}

func TestAnUploadNeedsNoBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{without: []string{"ingress"}})
	p := w.person(t)
	j := p.upload(t, video(t))
	if now := p.job(t, j.ID); now.State != job.Received {
		t.Errorf("without a broker the job is %s, want received", now.State)
	}
	w.start(t, "ingress")
	// It is overdue after a minute.
	eventually(t, "a sweep has published the event", 2*time.Minute, func() bool {
		if err := event.NewSender(w.url("reconcile")).Send(t.Context(), ping()); err != nil {
			t.Fatal(err)
		}
		return p.job(t, j.ID).State != job.Received
	})
	if done := p.await(t, j.ID); done.State != job.Done {
		t.Errorf("ended %+v", done)
	}
	w.awaitMail(t, j.ID, "done")
}

// ping is what a PingSource sends.
func ping() cloudevents.Event {
	e := cloudevents.New()
	e.SetID(uuid.NewString())
	e.SetType(event.TypePing)
	e.SetSource("/apis/v1/namespaces/audio-alchemist/pingsources/reconcile")
	e.SetTime(time.Now())
	_ = e.SetData(cloudevents.ApplicationJSON, struct{}{}) // cannot fail
	return e
}

func (w *world) route(t *testing.T, trigger string) interop.Route {
	t.Helper()
	for _, r := range w.plane.Routes {
		if r.Trigger.Name == trigger {
			return r
		}
	}
	t.Fatalf("there is no Trigger %s", trigger)
	return interop.Route{}
}
