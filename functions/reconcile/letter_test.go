package reconcile

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
)

// die delivers an event as the dead letter that a broker makes of it.
func (w *world) die(t *testing.T, e cloudevents.Event, status int, answer string) int {
	t.Helper()
	e.SetExtension(errorDest, "http://user:secret@127.0.0.1:4711/3ec2e7/convert/?key=x")
	e.SetExtension(errorCode, status)
	e.SetExtension(errorData, base64.StdEncoding.EncodeToString([]byte(answer)))
	code, _ := fixture.Deliver(t.Context(), t, w.function, e)
	return code
}

func (w *world) letters(t *testing.T) []ledger.Letter {
	t.Helper()
	all, err := w.Ledger.Letters(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestADeadLetterIsWrittenDown(t *testing.T) {
	w := start(t)
	j := w.Job(t, "anna")
	for range 2 { // a broker may deliver it twice
		if got := w.die(t, ledger.UploadedEvent(j), 503, `{"detail":"no ffmpeg"}`); got != http.StatusNoContent {
			t.Fatalf("status %d", got)
		}
	}
	all := w.letters(t)
	if len(all) != 1 {
		t.Fatalf("letters %+v", all)
	}
	l, original := all[0], ledger.UploadedEvent(j)
	if l.Job != j.ID || l.EventID != original.ID() || l.Type != original.Type() || l.Source != "/upload" || l.Times != 2 ||
		l.Subscriber != "http://127.0.0.1:4711/convert" || l.Status != 503 || l.Answer != `{"detail":"no ffmpeg"}` {
		t.Errorf("letter %+v", l)
	}
	if l.Event == nil || l.Event.String() != original.String() {
		t.Errorf("event %v\nwant %v", l.Event, original)
	}
}

func TestWhichLettersAreKept(t *testing.T) {
	w := start(t)
	done, foreign, bad := w.Done(t, "anna", "mp3"), cloudevents.New(), ledger.UploadedEvent(w.Job(t, "anna"))
	outcome, _ := ledger.OutcomeEvent(done)
	foreign.SetID("1")
	foreign.SetType("foreign")
	foreign.SetSource("/x")
	_ = bad.SetData(cloudevents.ApplicationJSON, []int{1})
	for _, tt := range []struct {
		name   string
		event  cloudevents.Event
		status int
		kept   bool
	}{
		{"the upload of a job that is done", ledger.UploadedEvent(done), 204, false},
		{"an outcome", outcome, 204, true},
		{"an event of somebody else", foreign, 204, true},
		{"garbled data", bad, 400, true},
	} {
		before := len(w.letters(t))
		if got := w.die(t, tt.event, -1, ""); got != tt.status {
			t.Errorf("%s: status %d", tt.name, got)
		}
		if kept := len(w.letters(t)) > before; kept != tt.kept {
			t.Errorf("%s: kept %v", tt.name, kept)
		}
	}
	w.advance(31 * day)
	w.sweep(t)
	if left := w.letters(t); len(left) != 0 {
		t.Errorf("retention leaves %+v", left)
	}
}

func TestALetterIsDeliveredAgainWhileTheLedgerIsAway(t *testing.T) {
	w := start(t)
	whole, garbled, foreign := ledger.UploadedEvent(w.Job(t, "anna")), ledger.UploadedEvent(w.Job(t, "anna")), cloudevents.New()
	_ = garbled.SetData(cloudevents.ApplicationJSON, []int{1})
	foreign.SetID("1")
	foreign.SetType("foreign")
	foreign.SetSource("/x")
	if err := w.Ledger.Close(); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]cloudevents.Event{"an upload": whole, "garbled data": garbled, "an event of somebody else": foreign} {
		if got := w.die(t, e, 503, ""); got != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d, want 503", name, got)
		}
	}
}

func TestAnswer(t *testing.T) {
	long := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("ü", 600)))
	for name, tt := range map[string]struct{ data, want string }{
		"none":           {"", ""},
		"a text":         {"bm8=", "no"},
		"cut off at 4":   {long[:4], "ü\uFFFD"},
		"cut off at 5":   {long[:5], "ü\uFFFD"},
		"cut off at 6":   {long[:6], "üü"},
		"not base64":     {"Service Unavailable!", "Service Unavailable!"},
		"bytes, no text": {base64.StdEncoding.EncodeToString([]byte{0xff, 'a'}), "\uFFFDa"},
	} {
		if got := answer(tt.data); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestSubscriber(t *testing.T) {
	for address, want := range map[string]string{
		"": "", "convert": "", "http://%": "",
		"http://convert.audio-alchemist.svc.cluster.local":      "http://convert.audio-alchemist.svc.cluster.local/",
		"http://user:secret@127.0.0.1:8081/secret/convert/?a=b": "http://127.0.0.1:8081/convert",
	} {
		if got := subscriber(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
