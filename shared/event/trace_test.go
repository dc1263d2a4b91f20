package event

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestTraceKeepsAValidHeaderAndReplacesAnother(t *testing.T) {
	begin := func(header string) string {
		_, got := Trace(t.Context(), http.Header{"Traceparent": {header}})
		return got
	}
	if got := begin(ref.Trace); got != ref.Trace {
		t.Errorf("Trace = %s", got)
	}
	ctx, _ := Trace(t.Context(), http.Header{"Traceparent": {ref.Trace}})
	if _, got := Trace(ctx, http.Header{}); got != ref.Trace {
		t.Errorf("Trace of the context = %s", got)
	}
	for _, bad := range []string{"", "garbage", "00-xyz", ref.Trace + "0"} {
		got := begin(bad)
		if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`).MatchString(got) {
			t.Errorf("Trace(%q) = %q", bad, got)
		}
		if begin(bad) == got {
			t.Errorf("Trace(%q) gives the same twice", bad)
		}
	}
}

func TestTraceGoesBetweenHeadersAndEvent(t *testing.T) {
	const other = "00-11111111111111111111111111111111-2222222222222222-01"
	tests := []struct {
		name, parent, state   string // headers that the event came with
		ownParent, ownState   string // extensions that it had
		wantParent, wantState string // headers that it goes on with
	}{
		{name: "headers", parent: other, state: "a=1", wantParent: other, wantState: "a=1"},
		{name: "no state", parent: other, wantParent: other},
		{name: "extensions", ownParent: other, ownState: "a=1", wantParent: other, wantState: "a=1"},
		{name: "the extensions win", parent: ref.Trace, state: "b=1", ownParent: other, wantParent: other},
		{name: "a state that belonged to no trace", parent: other, ownState: "a=1", wantParent: other},
		{name: "a state alone", ownState: "a=1"},
		{name: "none"},
		{name: "garbage", parent: "garbage", state: "a=1"},
		{name: "an extension that is no header", ownParent: "a\nb"},
		{name: "a state that is no header", ownParent: other, ownState: "a\nb", wantParent: other},
		{name: "a state that is too long", parent: other, state: strings.Repeat("a", 513), wantParent: other},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, out := http.Header{}, http.Header{}
			e := VideoUploaded(Ref{Job: "job-1"}, fid)
			for name, value := range map[string]string{"traceparent": tt.ownParent, "tracestate": tt.ownState} {
				if value != "" {
					e.SetExtension(name, value)
				}
			}
			in.Set("Traceparent", tt.parent)
			in.Set("Tracestate", tt.state)
			ReadTrace(in, &e)
			WriteTrace(out, e)
			if parent, state := out.Get("Traceparent"), out.Get("Tracestate"); parent != tt.wantParent || state != tt.wantState {
				t.Errorf("got %q and %q, want %q and %q", parent, state, tt.wantParent, tt.wantState)
			}
			next := VideoUploaded(Ref{Job: "job-2"}, fid)
			ContinueTrace(&next, e)
			if parent, state := TraceOf(next); parent != tt.wantParent || state != tt.wantState {
				t.Errorf("it continues as %q and %q, want %q and %q", parent, state, tt.wantParent, tt.wantState)
			}
		})
	}
}
