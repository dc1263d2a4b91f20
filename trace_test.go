package alchemist_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	duckv1 "knative.dev/pkg/apis/duck/v1"

	alchemist "github.com/opengundumstyle/audio-alchemist"
	"github.com/opengundumstyle/audio-alchemist/config/knative/events"
	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/sqlqueue"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry/collector"
)

// observed is a way to run the functions, all of it traced and counted.
type observed struct {
	origin   *server            // what people talk to
	programs map[string]*server // by function; the same one for all of them in the all-in-one
	metrics  map[string]string  // addresses of the metrics, by function
}

func (o *observed) stop(t *testing.T) {
	t.Helper()
	for name, s := range o.programs {
		select {
		case <-s.exited:
		default:
			if code := s.stop(t); code != 0 {
				t.Errorf("%s ended with %d", name, code)
			}
		}
	}
}

func observeAllInOne(t *testing.T, env ...string) *observed {
	t.Helper()
	port := freePort(t)
	s := start(t, embedded(t), append(env, "METRICS_PORT="+port)...)
	o := &observed{origin: s, programs: map[string]*server{}, metrics: map[string]string{}}
	for _, name := range config.Functions() {
		o.programs[name], o.metrics[name] = s, "127.0.0.1:"+port
	}
	return o
}

// observeFunctions runs each function as a program, with the local broker
// between them in the test itself.
func observeFunctions(t *testing.T, env ...string) *observed {
	t.Helper()
	dir, err := folderOfPrograms()
	if err != nil {
		t.Fatal(err)
	}
	p := embedded(t)
	c, err := config.Load(func(name string) string {
		return map[string]string{"DATA_DIR": p.data, "ADMIN_EMAIL": adminEmail, "ADMIN_PASSWORD": adminPassword}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := alchemist.CreateAdmin(t.Context(), c, io.Discard); err != nil {
		t.Fatal(err)
	}
	ports := map[string]string{}
	for _, name := range config.Functions() {
		ports[name] = freePort(t)
	}
	env = append(slices.Clone(env), "K_SINK="+serveBroker(t, ports))
	for name, port := range ports {
		env = append(env, strings.ToUpper(name)+"_URL=http://127.0.0.1:"+port)
	}
	o := &observed{programs: map[string]*server{}, metrics: map[string]string{}}
	for name, port := range ports {
		metrics := freePort(t)
		o.programs[name] = execute(t, filepath.Join(dir, name), p, port, append(env, "METRICS_PORT="+metrics)...)
		o.metrics[name] = "127.0.0.1:" + metrics
	}
	for _, s := range o.programs {
		s.awaitReady(t)
	}
	o.origin = o.programs["gateway"]
	return o
}

// serveBroker runs the local broker for functions at these ports and returns
// the address of its ingress.
func serveBroker(t *testing.T, ports map[string]string) string {
	t.Helper()
	queue, err := sqlqueue.Open(t.Context(), filepath.Join(t.TempDir(), "queue.db"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.New(broker.Options{Queue: queue, Manifests: events.Manifests, Resolve: func(ref duckv1.KReference) (string, error) {
		return "http://127.0.0.1:" + ports[ref.Name] + "/", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ingress := httptest.NewServer(b.Ingress())
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	t.Cleanup(func() {
		end()
		running.Wait()
		ingress.Close()
		_ = queue.Close()
	})
	return ingress.URL
}

// TestOneTraceFollowsAJob uploads a video through the gateway, and looks for
// one trace over all functions that had to do with it, for its id in their
// logs, and at what they have counted.
func TestOneTraceFollowsAJob(t *testing.T) {
	for name, run := range map[string]func(*testing.T, ...string) *observed{"all in one": observeAllInOne, "functions": observeFunctions} {
		t.Run(name, func(t *testing.T) {
			c := collector.Start(t)
			o := run(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.Endpoint())
			p := o.origin.admin(t)
			j := p.await(t, p.upload(t, "talk.mp4", video(t, 2)).ID)
			if j.State != job.Done {
				t.Fatalf("ended %+v", j)
			}
			eventually(t, "the mail is sent", 30*time.Second, func() bool { return len(o.origin.mails(t)) == 1 })
			counted(t, o)
			o.stop(t) // what is left of the spans is sent now
			trace := whole(t, c.Spans(), j.ID)
			for function, line := range map[string]string{"upload": "video uploaded", "convert": "conversion ended", "notify": "notice sent"} {
				if !logged(o.programs[function].log.String(), line, "job="+j.ID, "trace_id="+trace, "span_id=") {
					t.Errorf("%s has no line %q of job and trace %s", function, line, trace)
				}
			}
		})
	}
}

// whole holds that all that happens to a job is in one trace without gaps, and
// returns its id.
func whole(t *testing.T, spans []collector.Span, id string) string {
	t.Helper()
	first := slices.IndexFunc(spans, func(s collector.Span) bool {
		return s.Name == "send "+event.TypeVideoUploaded && s.Attributes["cloudevents.event_subject"] == id
	})
	if first < 0 {
		t.Fatalf("the event of the job was not sent, in %d spans", len(spans))
	}
	trace, ids, names := spans[first].Trace, map[string]bool{}, map[string]int{}
	for _, s := range spans {
		if s.Trace == trace {
			ids[s.ID] = true
			names[strings.TrimSpace(s.Attributes["alchemist.function"]+" "+s.Name)]++
		}
	}
	for _, s := range spans {
		if s.Trace == trace && s.Parent != "" && !ids[s.Parent] {
			t.Errorf("what is above span %+v was not sent", s)
		}
	}
	want := map[string]int{
		"gateway POST /upload": 1, "upload POST /upload": 1, "send " + event.TypeVideoUploaded: 1,
		"convert POST /{$}": 1, "process " + event.TypeVideoUploaded: 1, "claim": 2, "probe": 1, "convert": 1, "verify": 1, "store": 2,
		"notify POST /{$}": 1, "process " + event.TypeConversionCompleted: 1, "send mail": 1,
	}
	for name, n := range want {
		if names[name] != n {
			t.Errorf("%d spans %q in the trace of the job, want %d; there are %v", names[name], name, n, names)
		}
	}
	return trace
}

// logged reports whether one line of a log has all of this.
func logged(log string, all ...string) bool {
	for line := range strings.Lines(log) {
		if !slices.ContainsFunc(all, func(s string) bool { return !strings.Contains(line, s) }) {
			return true
		}
	}
	return false
}

// counted holds that the metrics of a job are where they belong.
func counted(t *testing.T, o *observed) {
	t.Helper()
	for function, names := range map[string][]string{
		"gateway": {`http_requests_total{code=2xx,function=gateway,method=POST,route=/upload}`},
		"upload":  {`http_requests_total{code=2xx,function=upload,method=POST,route=/upload}`, `http_request_bytes_total{function=upload}`},
		"convert": {
			`alchemist_conversions_total{format=mp3,outcome=done}`, `alchemist_converted_media_seconds_total{}`,
			`alchemist_queue_wait_seconds{function=convert}`, `alchemist_deliveries_total{function=convert,outcome=done,type=` + event.TypeVideoUploaded + `}`,
		},
		"notify": {`alchemist_mails_total{outcome=sent}`, `alchemist_queue_wait_seconds{function=notify}`},
	} {
		for _, name := range names {
			eventually(t, function+" has counted "+name, 10*time.Second, func() bool { return collector.Scrape(t, o.metrics[function])[name] > 0 })
		}
	}
	if resp, err := http.Get(o.origin.url + "/metrics"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("the public port answers for metrics: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
}

// TestAPortOfMetricsThatIsTakenIsNamed holds what the operator reads.
func TestAPortOfMetricsThatIsTakenIsNamed(t *testing.T) {
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(taken.URL, "http://"), ":")
	s := launch(t, embedded(t), freePort(t), "METRICS_PORT="+port)
	<-s.exited
	if s.code != 1 || !strings.Contains(s.log.String(), "METRICS_PORT") {
		t.Errorf("ended with %d:\n%s", s.code, s.log)
	}
}

// TestATraceThatComesGoesOnThoughNothingIsTraced holds that a job has the
// trace of its upload in every log, with no variable set.
func TestATraceThatComesGoesOnThoughNothingIsTraced(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	s := start(t, embedded(t))
	c := s.admin(t)
	req := c.uploadRequest(t, "talk.mp4", bytes.NewReader(video(t, 1)))
	req.Header.Set("Traceparent", parent)
	status, body := c.do(t, req)
	if status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	id := decode[job.View](t, body).ID
	c.await(t, id)
	for _, line := range []string{"video uploaded", "conversion started", "conversion ended", "notice sent"} {
		eventually(t, "the log has "+line+" with the trace", 30*time.Second, func() bool {
			return logged(s.log.String(), line, "job="+id, "trace_id="+parent[3:35])
		})
	}
}
