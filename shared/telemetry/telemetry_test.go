package telemetry

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/telemetry/collector"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func open(t *testing.T, o Options) *Telemetry {
	t.Helper()
	tel, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Close() })
	return tel
}

// get asks a handler for a path, in the trace that header names.
func get(h http.Handler, path, header string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
	r.Header.Set("Traceparent", header)
	h.ServeHTTP(w, r)
	return w
}

func TestASpanForEachRequestBelowTheOneThatItCameWith(t *testing.T) {
	c := collector.Start(t)
	tel := open(t, Options{Service: "test", Traces: c.URL()})
	var inner, outer http.ServeMux
	inner.HandleFunc("GET /jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, span := Start(r.Context(), "work", AttrJob.String(r.PathValue("id")))
		End(span, fail.New(fail.Unavailable, "secret"))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	outer.Handle("GET /jobs/{id}", tel.Handler("jobs", &inner))
	get(tel.Handler("gateway", &outer), "/jobs/7?secret=1", parent)
	if err := tel.Close(); err != nil {
		t.Fatal(err)
	}
	spans := c.Spans()
	if len(spans) != 3 {
		t.Fatalf("%d spans: %v", len(spans), spans)
	}
	above := parent[36:52]
	for i, want := range []struct{ name, kind, function string }{
		{"GET /jobs/{id}", "SPAN_KIND_SERVER", "gateway"}, {"GET /jobs/{id}", "SPAN_KIND_INTERNAL", "jobs"}, {"work", "SPAN_KIND_INTERNAL", ""},
	} {
		s := spans[i]
		if s.Name != want.name || s.Kind != want.kind || s.Attributes["alchemist.function"] != want.function ||
			s.Trace != parent[3:35] || s.Parent != above || s.Service != "test" || s.Status != "STATUS_CODE_ERROR" {
			t.Errorf("span %d is %+v, want %+v below %s", i, s, want, above)
		}
		if strings.Contains(strings.Join([]string{s.Name, s.StatusMessage, s.Attributes["url.path"]}, " "), "secret") {
			t.Errorf("span %d tells a secret: %+v", i, s)
		}
		above = s.ID
	}
	if s := spans[0]; s.Attributes["http.response.status_code"] != "503" || s.Attributes["http.route"] != "/jobs/{id}" {
		t.Errorf("attributes %v", s.Attributes)
	}
	if s := spans[2]; s.Attributes["error.type"] != "unavailable" || s.Attributes["alchemist.job.id"] != "7" {
		t.Errorf("attributes %v", s.Attributes)
	}
}

func TestPathsHaveNoAddresses(t *testing.T) {
	for of, want := range map[string]string{
		"/jobs/7": "/jobs/7", "/users": "/users", "/": "/", "": "",
		"/users/anna@example.com": "/users/…", "/users/anna@example.com/password": "/users/…", "/users/7/": "/users/…",
		"//users//anna@example.com": "/users/…", "/jobs/../users/anna@example.com": "/users/…", "/users/anna@example.com/..": "/users/…",
	} {
		if got := Path(of); got != want {
			t.Errorf("%s: %s, want %s", of, got, want)
		}
	}
	c := collector.Start(t)
	tel := open(t, Options{Traces: c.URL()})
	get(tel.Handler("login", http.NotFoundHandler()), "/users/anna@example.com/password", "")
	if err := tel.Close(); err != nil {
		t.Fatal(err)
	}
	if spans := c.Spans(); len(spans) != 1 || spans[0].Attributes["url.path"] != "/users/…" {
		t.Errorf("spans %v", spans)
	}
}

func TestSamplersDecide(t *testing.T) {
	unsampled := strings.TrimSuffix(parent, "01") + "00"
	for name, tt := range map[string]struct {
		sampler string
		share   float64
		header  string
		want    int
	}{
		"by default":                      {"", 0, "", 1},
		"by default, as the parent":       {"", 0, unsampled, 0},
		"always":                          {"always_on", 0, unsampled, 1},
		"never":                           {"always_off", 0, parent, 0},
		"by the parent":                   {"parentbased_always_off", 0, parent, 1},
		"by the parent, of which is none": {"parentbased_always_off", 0, "", 0},
		"a share of none":                 {"traceidratio", 0, parent, 0},
		"a share of all":                  {"parentbased_traceidratio", 1, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := collector.Start(t)
			tel := open(t, Options{Traces: c.URL(), Sampler: tt.sampler, SamplerArg: tt.share})
			get(tel.Handler("f", http.NotFoundHandler()), "/", tt.header)
			if err := tel.Close(); err != nil || len(c.Spans()) != tt.want {
				t.Errorf("%d spans, want %d; %v", len(c.Spans()), tt.want, err)
			}
		})
	}
}

func TestSpansAreSentAgainAndWithTheirHeaders(t *testing.T) {
	c := collector.Start(t)
	c.Refuse(http.StatusServiceUnavailable)
	tel := open(t, Options{Traces: c.URL(), Headers: "authorization=Bearer%20x, x-tenant = a"})
	get(tel.Handler("f", http.NotFoundHandler()), "/", "")
	if err := tel.Close(); err != nil {
		t.Fatal(err)
	}
	if got := c.Header(); len(c.Spans()) != 1 || got.Get("Authorization") != "Bearer x" || got.Get("X-Tenant") != "a" || got.Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("%d spans with %v", len(c.Spans()), got)
	}
	if _, err := Open(t.Context(), Options{Traces: c.URL(), Headers: "hunter2"}); !fail.Is(err, fail.Invalid) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("headers that are none: %v", err)
	}
}

func TestACollectorThatIsAwayIsNoError(t *testing.T) {
	logged := capture(t)
	tel := open(t, Options{Traces: "http://secret:hunter2@127.0.0.1:9/v1/traces"})
	if w := get(tel.Handler("f", http.NotFoundHandler()), "/", ""); w.Code != http.StatusNotFound {
		t.Errorf("answered %d", w.Code)
	}
	began := time.Now()
	if err := tel.Close(); err != nil || time.Since(began) > flushWithin+2*time.Second {
		t.Errorf("closed after %v: %v", time.Since(began), err)
	}
	if got := logged.String(); !strings.Contains(got, "spans lost at the end") || strings.Contains(got, "hunter2") {
		t.Errorf("logged %s", got)
	}
}

// capture makes Logger's lines the program's, in JSON, and returns them.
func capture(t *testing.T) *lines {
	t.Helper()
	var b lines
	before := slog.Default()
	slog.SetDefault(Logger(slog.New(slog.NewJSONHandler(&b, nil))))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &b
}

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestLinesHaveTheTraceThoughNothingIsTraced(t *testing.T) {
	for name, tel := range map[string]*Telemetry{"nothing asked for": open(t, Options{}), "none": nil} {
		t.Run(name, func(t *testing.T) {
			logged := capture(t)
			h := tel.Handler("f", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				ctx := Label(r.Context(), slog.String("job", "7"), slog.String("event", "7.0"))
				slog.With("job", "8").InfoContext(ctx, "line")
			}))
			get(h, "/", parent)
			get(h, "/", "garbage")
			want := `"msg":"line","job":"8","event":"7.0","trace_id":"` + parent[3:35] + `","span_id":"` + parent[36:52] + `"}`
			first, second, _ := strings.Cut(logged.String(), "\n")
			if !strings.HasSuffix(first, want) || strings.Contains(second, "trace_id") || !strings.Contains(second, `"event":"7.0"`) {
				t.Errorf("logged\n%s\n%s\nwant …%s and none", first, second, want)
			}
		})
	}
}

func TestTransportPassesTheTraceOn(t *testing.T) {
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Traceparent") }))
	defer srv.Close()
	c := collector.Start(t)
	client := &http.Client{Transport: Transport(http.DefaultTransport)}
	ask := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Error(err)
			return
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
	})
	get((*Telemetry)(nil).Handler("f", ask), "/", parent)
	if got != parent {
		t.Errorf("without traces %q goes on, want the one that came", got)
	}
	tel := open(t, Options{Traces: c.URL()})
	get(tel.Handler("f", ask), "/", parent)
	_ = tel.Close()
	spans := c.Spans()
	if len(spans) != 2 || spans[1].Kind != "SPAN_KIND_CLIENT" || got != "00-"+spans[1].Trace+"-"+spans[1].ID+"-01" {
		t.Errorf("with traces %q goes on; spans %v", got, spans)
	}
}

func TestMetrics(t *testing.T) {
	tel := open(t, Options{MetricsAddress: "127.0.0.1:0"})
	var mux http.ServeMux
	mux.HandleFunc("POST /jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("GET /panics", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	h := tel.Handler("jobs", &mux)
	for _, id := range []string{"1", "2"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/jobs/"+id, strings.NewReader("body")))
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("INVENTED", "/invented", nil))
	func() {
		defer func() { _ = recover() }()
		get(h, "/panics", "")
	}()
	m := tel.Metrics()
	m.Conversion(Done, []string{"mp3", "flac"}, time.Minute)
	m.Converted(100, 10, time.Hour)
	m.Claimed("convert", time.Second)
	m.ClaimedAgain()
	m.Delivered("convert", "other", Again)
	m.DeadLetter("other")
	m.Mail(Sent)
	m.Jobs("queued", 3, 90*time.Second)
	got := collector.Scrape(t, tel.MetricsAddress())
	for name, want := range map[string]float64{
		"http_requests_total{code=2xx,function=jobs,method=POST,route=/jobs/{id}}":  2,
		"http_requests_total{code=4xx,function=jobs,method=_OTHER,route=unmatched}": 1,
		"http_requests_total{code=5xx,function=jobs,method=GET,route=/panics}":      1,
		"http_request_duration_seconds{function=jobs,method=POST,route=/jobs/{id}}": 2,
		"http_requests_in_flight{function=jobs}":                                    0,
		"http_request_bytes_total{function=jobs}":                                   8,
		"alchemist_conversions_total{format=flac,outcome=done}":                     1,
		"alchemist_conversion_duration_seconds{outcome=done}":                       1,
		"alchemist_converted_media_seconds_total{}":                                 3600,
		"alchemist_converted_video_bytes_total{}":                                   100,
		"alchemist_converted_audio_bytes_total{}":                                   10,
		"alchemist_conversion_retries_total{}":                                      1,
		"alchemist_queue_wait_seconds{function=convert}":                            1,
		"alchemist_deliveries_total{function=convert,outcome=again,type=other}":     1,
		"alchemist_dead_letters_total{type=other}":                                  1,
		"alchemist_mails_total{outcome=sent}":                                       1,
		"alchemist_jobs{state=queued}":                                              3,
		"alchemist_oldest_job_age_seconds{state=queued}":                            90,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v (there: %t), want %v", name, value, ok, want)
		}
	}
	for _, name := range []string{"go_goroutines{}", "process_cpu_seconds_total{}"} {
		if _, ok := got[name]; !ok {
			t.Errorf("there is no %s", name)
		}
	}
	if _, err := Open(t.Context(), Options{MetricsAddress: tel.MetricsAddress()}); !fail.Is(err, fail.Unavailable) {
		t.Errorf("a port that is taken: %v", err)
	}
}

// TestABodyMayBeReadAfterItsHandler holds, under the race detector, that what a
// transport reads on is no concern of a handler that has ended. The body is one
// without locks, which could hide the race.
func TestABodyMayBeReadAfterItsHandler(t *testing.T) {
	read := make(chan error)
	h := (*Telemetry)(nil).Handler("f", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		go func() {
			_, err := io.Copy(io.Discard, r.Body)
			read <- err
		}()
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("body")))
	if err := <-read; err != nil {
		t.Error(err)
	}
}

func TestNothingAskedForIsNothingDone(t *testing.T) {
	for name, tel := range map[string]*Telemetry{"nothing asked for": open(t, Options{}), "none": nil} {
		m := tel.Metrics()
		m.Conversion(Done, []string{"mp3"}, 0)
		m.Converted(1, 1, 1)
		m.Claimed("f", 1)
		m.ClaimedAgain()
		m.Delivered("f", "t", Done)
		m.DeadLetter("t")
		m.Mail(Sent)
		m.Jobs("s", 1, 1)
		if m != nil || tel.MetricsAddress() != "" {
			t.Errorf("%s: metrics at %q", name, tel.MetricsAddress())
		}
		if err := tel.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAFileStaysAFile holds that an answer from a file is handed on whole, for
// the kernel to copy.
func TestAFileStaysAFile(t *testing.T) {
	path := t.TempDir() + "/file"
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := &readerFrom{ResponseWriter: httptest.NewRecorder()}
	h := (*Telemetry)(nil).Handler("f", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) }))
	h.ServeHTTP(to, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil))
	if !to.file {
		t.Error("the ResponseWriter was not handed the file")
	}
}

type readerFrom struct {
	http.ResponseWriter
	file bool
}

func (w *readerFrom) ReadFrom(src io.Reader) (int64, error) {
	if l, ok := src.(*io.LimitedReader); ok {
		src = l.R
	}
	_, w.file = src.(*os.File)
	return io.Copy(io.Discard, src)
}
