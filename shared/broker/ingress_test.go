package broker_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

const structured = "application/cloudevents+json"

func TestIngressAnswers(t *testing.T) { each(t, ingressAnswers) }

func ingressAnswers(t *testing.T, start starter) {
	got := make(chan cloudevents.Event, 9)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", ""}), map[string]http.HandlerFunc{
		"a": func(_ http.ResponseWriter, r *http.Request) { got <- read(t, r) },
	})
	binary := map[string]string{
		"Ce-Id": "1", "Ce-Type": "dev.test.a", "Ce-Source": "/s", "Ce-Specversion": "1.0", "Content-Type": "application/json",
	}
	with := func(key, value string) map[string]string {
		m := map[string]string{key: value}
		for k, v := range binary {
			if k != key {
				m[k] = v
			}
		}
		return m
	}
	full := `{"a":"` + strings.Repeat("x", event.MaxData-8) + `"}`
	tests := []struct {
		name    string
		method  string
		headers map[string]string
		body    string
		want    int
		data    string // of the delivery, if there is to be one
	}{
		{"binary", "POST", binary, `{ "n": 1 }`, 202, `{ "n": 1 }`},
		{"structured", "POST", map[string]string{"Content-Type": structured},
			`{"specversion":"1.0","id":"1","type":"dev.test.a","source":"/s","data":{ "n": 1 }}`, 202, `{ "n": 1 }`},
		{"bytes in base64", "POST", map[string]string{"Content-Type": structured},
			`{"specversion":"1.0","id":"1","type":"dev.test.a","source":"/s","datacontenttype":"a/b","data_base64":"AP8="}`, 202, "\x00\xff"},
		{"bytes", "POST", with("Content-Type", "application/octet-stream"), "\x00\xff\n", 202, "\x00\xff\n"},
		{"text", "POST", with("Content-Type", "text/plain"), "ä \"x\"\n", 202, "ä \"x\"\n"},
		{"as much data as is taken", "POST", binary, full, 202, full},
		{"nobody wants it", "POST", with("Ce-Type", "dev.test.other"), `{}`, 202, ""},
		{"no event", "POST", nil, `{}`, 400, ""},
		{"no id", "POST", with("Ce-Id", ""), `{}`, 400, ""},
		{"unknown version", "POST", with("Ce-Specversion", "7"), `{}`, 400, ""},
		{"structured without a type", "POST", map[string]string{"Content-Type": structured}, `{"specversion":"1.0","id":"1","source":"/s"}`, 400, ""},
		{"structured that is no JSON", "POST", map[string]string{"Content-Type": structured}, `{"specversion`, 400, ""},
		{"a batch", "POST", map[string]string{"Content-Type": "application/cloudevents-batch+json"}, `[]`, 400, ""},
		{"data that is not the JSON it claims", "POST", binary, `{"n"`, 400, ""},
		{"a byte too much data", "POST", binary, `{"a":"` + strings.Repeat("x", event.MaxData-7) + `"}`, 413, ""},
		{"a body without end", "POST", binary, strings.Repeat("x", 1<<20), 413, ""},
		{"a structured body without end", "POST", map[string]string{"Content-Type": structured}, `{"data":"` + strings.Repeat("x", 1<<20), 413, ""},
		{"GET", "GET", nil, "", 405, ""},
		{"PUT", "PUT", binary, `{}`, 405, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, w.ingress, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range tt.headers {
				req.Header.Set(k, v)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Fatalf("got %d, want %d", resp.StatusCode, tt.want)
			}
			if tt.data == "" {
				return
			}
			if e := next(t, got); string(e.Data()) != tt.data || e.ID() != "1" {
				t.Errorf("delivered %.99q of event %s, want %.99q", e.Data(), e.ID(), tt.data)
			}
		})
	}
	nothing(t, got)
}

// failing is a queue whose disk is full.
type failing struct{ broker.Queue }

func (failing) Publish(context.Context, broker.Message, ...string) error {
	return fail.New(fail.Unavailable, "The disk is full.")
}

func TestIngressSaysWhenTheQueueFails(t *testing.T) {
	var log lines
	b, err := broker.New(broker.Options{
		Queue: failing{}, Manifests: manifest([4]string{"a", "dev.test.a", "a", ""}), Resolve: func(duckv1.KReference) (string, error) { return "http://127.0.0.1:1", nil },
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b.Ingress())
	defer server.Close()
	if err := post(server.URL, sample("1")); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("got %v, want 503", err)
	}
	for _, want := range []string{"event=1", "job=job-1", "disk is full"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, log.String())
		}
	}
}

func TestTraceTravels(t *testing.T) { each(t, traceTravels) }

func traceTravels(t *testing.T, start starter) {
	const one = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	const two = "00-11111111111111111111111111111111-2222222222222222-01"
	tests := []struct {
		name, header, extension, want string
	}{
		{"as an extension", "", one, one},
		{"as a header", one, "", one},
		{"the extension wins", two, one, one},
		{"garbage is left behind", "garbage", "", ""},
	}
	type seen struct{ header, extension string }
	got := make(chan seen, 9)
	w := start(t, manifest([4]string{"a", "dev.test.a", "a", ""}), map[string]http.HandlerFunc{
		"a": func(_ http.ResponseWriter, r *http.Request) {
			extension, _ := read(t, r).Extensions()["traceparent"].(string)
			got <- seen{r.Header.Get("traceparent"), extension}
		},
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := sample("1")
			if tt.extension != "" {
				e.SetExtension("traceparent", tt.extension)
			}
			body, err := e.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, w.ingress, bytes.NewReader(body))
			req.Header.Set("Content-Type", structured)
			req.Header.Set("traceparent", tt.header)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if s := next(t, got); s.header != tt.want || s.extension != tt.want {
				t.Errorf("delivered with %+v, want %q", s, tt.want)
			}
		})
	}
}
