package ledger

import (
	"context"
	"log/slog"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
)

// UploadedEvent is the event that asks for the conversion of the job: the same
// in every byte whoever sends it, and however often.
func UploadedEvent(j job.Job) cloudevents.Event {
	return event.VideoUploaded(event.Ref{Job: j.ID, Run: j.Run, At: j.CreatedAt, Trace: j.Trace}, j.Source)
}

// OutcomeEvent is the event that tells of the end of the job; false if it has
// not ended.
func OutcomeEvent(j job.Job) (cloudevents.Event, bool) {
	ref := event.Ref{Job: j.ID, Run: j.Run, At: j.EndedAt, Trace: j.Trace}
	switch j.State {
	case job.Done:
		return event.ConversionCompleted(ref, j.FIDs()), true
	case job.Failed:
		return event.ConversionFailed(ref, j.Error), true
	default:
		return cloudevents.Event{}, false
	}
}

// Publish sends the event that asks for a received job's conversion and notes
// the job as queued. It returns the job as it then stands and no error: what
// fails here is logged, the job stays received, and reconcile publishes it
// later.
func (l *Ledger) Publish(ctx context.Context, s *event.Sender, j job.Job) job.Job {
	if err := s.Send(ctx, UploadedEvent(j)); err != nil {
		slog.WarnContext(ctx, "event left for the sweep", "job", j.ID, "error", err)
		return j
	}
	if err := l.Queued(ctx, j.ID); err != nil {
		slog.WarnContext(ctx, "job not noted as queued", "job", j.ID, "error", err)
		return j
	}
	j.State = job.Queued
	return j
}
