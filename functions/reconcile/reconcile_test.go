package reconcile

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry/collector"
)

const day = 24 * time.Hour

// world is the function over real stores whose ledger has a clock that moves
// by hand.
type world struct {
	*fixture.Stores
	function http.Handler
	mu       sync.Mutex
	ahead    time.Duration
}

func start(t *testing.T) *world {
	w := &world{Stores: fixture.New(t)}
	w.Ledger.Now = func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return time.Now().Add(w.ahead)
	}
	w.function = New(Deps{Ledger: w.Ledger, Blobs: w.Blobs, Events: w.Events, Retention: 30 * day, OrphanAge: time.Hour})
	return w
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

func ping() cloudevents.Event {
	e := cloudevents.New()
	e.SetID("1")
	e.SetType(event.TypePing)
	e.SetSource("/apis/v1/namespaces/audio-alchemist/pingsources/reconcile")
	return e
}

func (w *world) sweep(t *testing.T) {
	t.Helper()
	if status, _ := fixture.Deliver(t.Context(), t, w.function, ping()); status != http.StatusNoContent {
		t.Fatalf("the sweep answers %d", status)
	}
}

// sent returns the types and jobs of the events that were published.
func (w *world) sent() []string {
	var all []string
	for _, e := range w.Broker.Events() {
		all = append(all, e.Type()+" "+e.Subject())
	}
	slices.Sort(all)
	return all
}

func (w *world) state(t *testing.T, id string) job.State {
	t.Helper()
	j, err := w.Ledger.Job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j.State
}

func TestASweepLeavesWhatGoesItsWay(t *testing.T) {
	w := start(t)
	w.Job(t, "anna")
	w.Done(t, "anna", "mp3")
	w.Put(t, blob.Videos, "of an upload whose job is not written yet")
	w.sweep(t)
	if got := w.sent(); len(got) != 0 || w.Count(t, blob.Videos) != 3 {
		t.Errorf("sent %v, %d videos left", got, w.Count(t, blob.Videos))
	}
}

// TestASweepIsObserved holds that what a sweep sends again is in the trace of
// its job, and that it counts what waits.
func TestASweepIsObserved(t *testing.T) {
	const its, pings = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-11111111111111111111111111111111-2222222222222222-01"
	w, c := start(t), collector.Start(t)
	tel, err := telemetry.Open(t.Context(), telemetry.Options{Traces: c.URL(), MetricsAddress: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close() }()
	w.function = tel.Handler("reconcile", New(Deps{Metrics: tel.Metrics(), Ledger: w.Ledger, Blobs: w.Blobs, Events: w.Events, OrphanAge: time.Hour}))
	j, err := w.Ledger.CreateJob(t.Context(), job.Job{ID: job.NewID(), Owner: "anna", Source: w.Put(t, blob.Videos, "video"), Trace: its})
	if err != nil {
		t.Fatal(err)
	}
	w.advance(2 * time.Minute)
	p := ping()
	p.SetExtension(event.TraceExtension, pings)
	if status, _ := fixture.Deliver(t.Context(), t, w.function, p); status != http.StatusNoContent {
		t.Fatalf("the sweep answers %d", status)
	}
	letter := ledger.UploadedEvent(j)
	fixture.Deliver(t.Context(), t, w.function, letter)
	got := collector.Scrape(t, tel.MetricsAddress())
	for name, want := range map[string]float64{
		"alchemist_jobs{state=queued}": 1, "alchemist_jobs{state=converting}": 0,
		"alchemist_dead_letters_total{type=" + event.TypeVideoUploaded + "}":                      1,
		"alchemist_deliveries_total{function=reconcile,outcome=done,type=" + event.TypePing + "}": 1,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v (there: %t), want %v", name, value, ok, want)
		}
	}
	if err := tel.Close(); err != nil {
		t.Fatal(err)
	}
	again := slices.IndexFunc(c.Spans(), func(s collector.Span) bool { return s.Name == "send "+event.TypeVideoUploaded })
	if again < 0 {
		t.Fatalf("nothing was sent, in %+v", c.Spans())
	}
	if s := c.Spans()[again]; s.Trace != its[3:35] || s.Kind != "SPAN_KIND_PRODUCER" || !slices.Equal(s.Links, []string{pings[3:35]}) {
		t.Errorf("sent in %+v, want the trace of the job and a link to that of the ping", s)
	}
}

func TestASweepPublishesWhatIsStuckOnce(t *testing.T) {
	w := start(t)
	received, untold := w.Job(t, "anna"), w.Done(t, "anna", "mp3")
	lost := w.Job(t, "anna")
	if _, err := w.Ledger.Claim(t.Context(), lost.ID, "killed", 30*time.Second); err != nil {
		t.Fatal(err)
	}
	w.advance(20 * time.Minute)
	w.sweep(t)
	want := []string{
		event.TypeConversionCompleted + " " + untold.ID,
		event.TypeVideoUploaded + " " + received.ID,
		event.TypeVideoUploaded + " " + lost.ID,
	}
	slices.Sort(want)
	if got := w.sent(); !slices.Equal(got, want) {
		t.Fatalf("sent %v\nwant %v", got, want)
	}
	for _, id := range []string{received.ID, lost.ID} {
		if got := w.state(t, id); got != job.Queued {
			t.Errorf("job is %s, want queued", got)
		}
	}
	w.sweep(t)
	if got := w.sent(); len(got) != 3 {
		t.Errorf("the next sweep sends again: %v", got)
	}
}

func TestASweepWithTheBrokerDownTriesAgain(t *testing.T) {
	w := start(t)
	w.Job(t, "anna")
	w.advance(2 * time.Minute)
	w.Broker.Answer(http.StatusServiceUnavailable)
	if status, _ := fixture.Deliver(t.Context(), t, w.function, ping()); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
	w.Broker.Answer(http.StatusAccepted)
	w.sweep(t)
	if got := w.sent(); len(got) != 1 {
		t.Errorf("sent %v", got)
	}
}

func TestAJobThatIsInterruptedTooOftenIsGivenUp(t *testing.T) {
	w := start(t)
	j := w.Job(t, "anna")
	for range maxAttempts {
		if _, err := w.Ledger.Claim(t.Context(), j.ID, "killed", time.Second); err != nil {
			t.Fatal(err)
		}
		w.advance(time.Minute)
	}
	w.sweep(t)
	if got := w.state(t, j.ID); got != job.Failed {
		t.Errorf("job is %s, want failed", got)
	}
	if got := w.sent(); !slices.Equal(got, []string{event.TypeConversionFailed + " " + j.ID}) {
		t.Errorf("sent %v", got)
	}
}

func TestAnOwnerWhoCannotBeToldIsNotToldForEver(t *testing.T) {
	w := start(t)
	w.Done(t, "anna", "mp3")
	w.advance(4 * day)
	w.sweep(t)
	w.advance(day)
	w.sweep(t)
	if got := w.sent(); len(got) != 0 {
		t.Errorf("sent %v", got)
	}
}

func TestASweepRemovesOrphansAndWhatRetentionEnds(t *testing.T) {
	w := start(t)
	old := w.Done(t, "anna", "mp3")
	for range batch + 5 {
		w.Put(t, blob.Videos, "orphan")
	}
	w.Put(t, blob.Audio, "orphan")
	w.advance(2 * time.Hour)
	kept := w.Job(t, "anna")
	w.sweep(t)
	if v, a := w.Count(t, blob.Videos), w.Count(t, blob.Audio); v != 2 || a != 1 {
		t.Errorf("after the orphans: %d videos, %d results", v, a)
	}
	w.advance(30*day - time.Hour)
	w.sweep(t)
	_, err := w.Ledger.Job(t.Context(), old.ID)
	fixture.WantKind(t, err, fail.NotFound)
	if _, err := w.Ledger.Job(t.Context(), kept.ID); err != nil {
		t.Error(err)
	}
	if v, a := w.Count(t, blob.Videos), w.Count(t, blob.Audio); v != 1 || a != 0 {
		t.Errorf("after retention: %d videos, %d results", v, a)
	}
}

// meddled is a store in whose Delete and List a test has a hand.
type meddled struct {
	blob.Store
	deleted func(id string)
	broken  int // calls of List yet to fail after one blob
	lists   int
}

func (m *meddled) Delete(ctx context.Context, b blob.Bucket, id string) error {
	if m.deleted != nil {
		m.deleted(id)
	}
	return m.Store.Delete(ctx, b, id)
}

func (m *meddled) List(ctx context.Context, b blob.Bucket) iter.Seq2[blob.Info, error] {
	m.lists++
	if m.broken == 0 {
		return m.Store.List(ctx, b)
	}
	m.broken--
	return func(yield func(blob.Info, error) bool) {
		for info, err := range m.Store.List(ctx, b) {
			if yield(info, err) {
				yield(blob.Info{}, fail.New(fail.Unavailable, "The store is away."))
			}
			return
		}
	}
}

func meddle(t *testing.T) (*world, *meddled) {
	t.Helper()
	w := start(t)
	m := &meddled{Store: w.Blobs}
	w.function = New(Deps{Ledger: w.Ledger, Blobs: m, Events: w.Events, Retention: 30 * day, OrphanAge: time.Hour})
	return w, m
}

func TestRetentionGoesOnPastAJobThatIsDeletedMeanwhile(t *testing.T) {
	w, m := meddle(t)
	var jobs [3]job.Job
	for i := range jobs {
		jobs[i] = w.Job(t, "anna")
		w.advance(time.Second)
	}
	first, second, third := jobs[0], jobs[1], jobs[2]
	m.deleted = func(id string) {
		if id != first.Source {
			return
		}
		if _, err := w.Ledger.DeleteJob(t.Context(), second.ID); err != nil {
			t.Errorf("the owner deletes: %v", err)
		}
	}
	w.advance(31 * day)
	for _, j := range jobs { // or the sweep publishes them first
		if _, err := w.Ledger.GiveUp(t.Context(), j.ID, 0, "no"); err != nil {
			t.Fatal(err)
		}
	}
	w.sweep(t)
	for _, j := range []job.Job{first, third} {
		_, err := w.Ledger.Job(t.Context(), j.ID)
		fixture.WantKind(t, err, fail.NotFound)
	}
}

func TestAListThatFailsHalfWayIsListedAgain(t *testing.T) {
	w, m := meddle(t)
	for range 3 {
		w.Put(t, blob.Videos, "orphan")
	}
	w.advance(2 * time.Hour)
	m.broken = 1
	if status, _ := fixture.Deliver(t.Context(), t, w.function, ping()); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
	if n := w.Count(t, blob.Videos); n != 2 {
		t.Errorf("%d videos, want the one removed that was listed", n)
	}
	w.sweep(t)
	if n := w.Count(t, blob.Videos); n != 0 {
		t.Errorf("%d orphans are left by the next sweep", n)
	}
	lists := m.lists
	w.sweep(t)
	if m.lists != lists {
		t.Error("the store is listed again at once, though nothing failed")
	}
}

func TestDeadLetters(t *testing.T) {
	w := start(t)
	deliver := func(e cloudevents.Event) int {
		e.SetExtension("knativeerrorcode", 503)
		e.SetExtension("knativeerrordest", "http://convert/")
		status, _ := fixture.Deliver(t.Context(), t, w.function, e)
		return status
	}
	stuck, done, gone := w.Job(t, "anna"), w.Done(t, "anna", "mp3"), w.Job(t, "anna")
	if _, err := w.Ledger.DeleteJob(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	outcome, _ := ledger.OutcomeEvent(done)
	bad := ledger.UploadedEvent(stuck)
	_ = bad.SetData(cloudevents.ApplicationJSON, []int{1})
	for name, tt := range map[string]struct {
		e      cloudevents.Event
		status int
	}{
		"of a done job":    {ledger.UploadedEvent(done), 204},
		"of a deleted job": {ledger.UploadedEvent(gone), 204},
		"of an outcome":    {outcome, 204},
		"that is garbled":  {bad, 400},
	} {
		if got := deliver(tt.e); got != tt.status || len(w.sent()) != 0 {
			t.Errorf("a dead letter %s: %d, sent %v", name, got, w.sent())
		}
	}
	if got := deliver(ledger.UploadedEvent(stuck)); got != 204 {
		t.Errorf("a dead letter of a stuck job: %d", got)
	}
	j, err := w.Ledger.Job(t.Context(), stuck.ID)
	if err != nil || j.State != job.Failed || j.Error == "" {
		t.Errorf("the stuck job: %+v, %v", j, err)
	}
	if got := w.sent(); !slices.Equal(got, []string{event.TypeConversionFailed + " " + stuck.ID}) {
		t.Errorf("sent %v", got)
	}
}
