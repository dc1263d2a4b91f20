package ledger

import (
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
		fids := make([]string, 0, len(j.Results))
		for _, r := range j.Results {
			fids = append(fids, r.FID)
		}
		return event.ConversionCompleted(ref, fids), true
	case job.Failed:
		return event.ConversionFailed(ref, j.Error), true
	default:
		return cloudevents.Event{}, false
	}
}
