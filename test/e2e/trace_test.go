//go:build e2e

package e2e_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
)

func TestOneTraceFollowsAJobOverAllFunctions(t *testing.T) {
	p := the.admin(t)
	j := p.upload(t, video(t, 2))
	p.done(t, j.ID, 2*time.Minute)
	the.awaitMail(t, j.ID, "done", 0)
	want := []string{
		"gateway POST /upload", "upload POST /upload", "send " + event.TypeVideoUploaded, "convert POST /{$}", "process " + event.TypeVideoUploaded,
		"probe", "convert", "verify", "store", "notify POST /{$}", "process " + event.TypeConversionCompleted, "send mail",
	}
	var got map[string]bool
	defer func() { t.Logf("the trace has %s", strings.Join(slices.Sorted(maps.Keys(got)), ", ")) }()
	// Spans leave a function every 5 seconds.
	eventually(t, "the trace is whole", time.Minute, func() bool {
		got = the.spansOf(j.ID)
		return !slices.ContainsFunc(want, func(name string) bool { return !got[name] })
	})
}

// spansOf names the spans of the trace in which a job's event was sent.
func (w *world) spansOf(id string) map[string]bool {
	spans, names := w.traces.Spans(), map[string]bool{}
	for _, first := range spans {
		if first.Name != "send "+event.TypeVideoUploaded || first.Attributes["cloudevents.event_subject"] != id {
			continue
		}
		for _, s := range spans {
			if s.Trace == first.Trace {
				names[strings.TrimSpace(s.Attributes["alchemist.function"]+" "+s.Name)] = true
			}
		}
	}
	return names
}
