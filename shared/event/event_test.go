package event

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

var ref = Ref{
	Job: "01932b6e-0000-7000-8000-000000000001", Run: 2,
	At:    time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
	Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}

const fid = "6f1ed002-ab5c-4c3b-9d2e-000000000001"

func all() map[string]cloudevents.Event {
	return map[string]cloudevents.Event{
		TypeVideoUploaded:       VideoUploaded(ref, fid),
		TypeConversionCompleted: ConversionCompleted(ref, []string{fid}),
		TypeConversionFailed:    ConversionFailed(ref, "The file has no sound."),
	}
}

func TestEveryEventIsValidAndFollowsItsSchema(t *testing.T) {
	for typ, e := range all() {
		t.Run(typ, func(t *testing.T) {
			if err := e.Validate(); err != nil {
				t.Fatal(err)
			}
			if e.Type() != typ || e.Subject() != ref.Job || e.Extensions()[TraceExtension] != ref.Trace {
				t.Errorf("attributes: %v", e.Context)
			}
			raw, err := Schemas.ReadFile("schema/" + typ + ".json")
			if err != nil {
				t.Fatal(err)
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			c := jsonschema.NewCompiler()
			if err := c.AddResource("it.json", doc); err != nil {
				t.Fatal(err)
			}
			schema, err := c.Compile("it.json")
			if err != nil {
				t.Fatal(err)
			}
			data, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Data()))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(data); err != nil {
				t.Error(err)
			}
			if err := schema.Validate(map[string]any{"job": ref.Job}); err == nil {
				t.Error("the schema takes data without a run")
			}
		})
	}
}

func TestAnEventSentAgainLooksTheSame(t *testing.T) {
	for typ, e := range all() {
		first, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		second, err := json.Marshal(all()[typ])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Errorf("%s differs:\n%s\n%s", typ, first, second)
		}
	}
}

func TestIDsDifferByJobRunAndType(t *testing.T) {
	seen := map[string]bool{}
	other := ref
	other.Run++
	for _, e := range []cloudevents.Event{
		VideoUploaded(ref, fid), VideoUploaded(other, fid), ConversionCompleted(ref, nil), ConversionFailed(ref, "x"),
	} {
		if seen[e.ID()] {
			t.Errorf("id %s twice", e.ID())
		}
		seen[e.ID()] = true
	}
}

func TestDecode(t *testing.T) {
	e := VideoUploaded(ref, fid)
	d, err := Decode(e)
	if err != nil || d.Job != ref.Job || d.Run != 2 || len(d.FIDs) != 1 || d.FIDs[0] != fid {
		t.Fatalf("Decode = %+v, %v", d, err)
	}
	for name, raw := range map[string]string{
		"not JSON": "{", "no job": `{"run":1}`, "a list": `[1]`, "too large": `{"job":"` + strings.Repeat("x", MaxData) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			e := VideoUploaded(ref, fid)
			e.DataEncoded = []byte(raw)
			if _, err := Decode(e); !fail.Is(err, fail.Invalid) {
				t.Errorf("error %v, want Invalid", err)
			}
		})
	}
}

func TestSenderPostsTheEventAndMindsTheAnswer(t *testing.T) {
	var got *cloudevents.Event
	var trace string
	status := http.StatusAccepted
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, err := cehttp.NewEventFromHTTPRequest(r)
		if err != nil {
			t.Error(err)
		}
		got, trace = e, r.Header.Get("traceparent")
		w.WriteHeader(status)
	}))
	s := NewSender(sink.URL)
	want := VideoUploaded(ref, fid)
	if err := s.Send(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got.ID() != want.ID() || !bytes.Equal(got.Data(), want.Data()) || got.Extensions()[TraceExtension] != ref.Trace || trace != ref.Trace {
		t.Errorf("sink got %v, and %q as the header traceparent", got, trace)
	}
	status = http.StatusBadRequest
	if err := s.Send(t.Context(), want); !fail.Is(err, fail.Unavailable) {
		t.Errorf("after a 400: %v, want Unavailable", err)
	}
	sink.Close()
	if err := s.Send(t.Context(), want); !fail.Is(err, fail.Unavailable) || strings.Contains(err.Error(), "http://") {
		t.Errorf("with no sink: %v, want Unavailable without the address", err)
	}
}
