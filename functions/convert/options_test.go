package convert

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

func (w *world) jobWith(t *testing.T, content []byte, opt options.Options) job.Job {
	t.Helper()
	j, err := w.Ledger.CreateJob(t.Context(), job.Job{
		ID: job.NewID(), Owner: "owner", Name: "talk.mp4", Source: w.Put(t, blob.Videos, string(content)), Bytes: int64(len(content)), Options: opt,
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestOneUploadBecomesSeveralResults(t *testing.T) {
	for name, remote := range map[string]bool{"store with files here": false, "store elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.blobs.remote = remote
			w.deps.Media.CopyUpTo = -1
			j := w.jobWith(t, talk(t), options.Options{
				Formats: options.Formats(), Start: options.Time(time.Second), End: options.Time(2500 * time.Millisecond), Cover: "0.5", Title: "A talk",
			})
			status, _ := w.deliver(t.Context(), t, j)
			wantStatus(t, status, http.StatusOK)
			done := w.read(t, j.ID)
			if done.State != job.Done || len(done.Results) != len(options.Formats()) {
				t.Fatalf("job %+v", done)
			}
			for i, f := range options.Formats() {
				r := done.Results[i]
				if r.Name != "talk."+f.Extension() || r.Format != string(f) || (r.Duration-1500*time.Millisecond).Abs() > 30*time.Millisecond {
					t.Errorf("result %+v", r)
				}
			}
			w.clean(t, len(options.Formats()))
		})
	}
}

func TestAWishThatCannotBeFulfilledFailsTheJob(t *testing.T) {
	w := start(t)
	j := w.jobWith(t, talk(t), options.Options{Track: "fr"})
	status, _ := w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusOK)
	if ended := w.read(t, j.ID); ended.State != job.Failed || ended.Error != `There is no track "fr"; the file has 0 (und).` {
		t.Errorf("job %+v", ended)
	}
	w.clean(t, 0)
}

// TestAFaultInTheSecondResultLeavesNothing fails the second Put.
func TestAFaultInTheSecondResultLeavesNothing(t *testing.T) {
	w := start(t)
	j := w.jobWith(t, talk(t), options.Options{Formats: []options.Format{options.MP3, options.FLAC}})
	puts := 0
	w.blobs.beforePut = func() {
		if puts++; puts == 2 {
			w.blobs.failPuts.Store(1)
		}
	}
	status, _ := w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusServiceUnavailable)
	w.clean(t, 0)
	status, _ = fixture.Deliver(t.Context(), t, New(w.deps), ledger.UploadedEvent(j))
	wantStatus(t, status, http.StatusOK)
	w.clean(t, 2)
}

// TestAResultThatIsNotWhatWasPlannedIsMadeAgain has the store give back
// another sound than it was given.
func TestAResultThatIsNotWhatWasPlannedIsMadeAgain(t *testing.T) {
	w := start(t)
	w.blobs.remote, w.deps.Media.CopyUpTo = true, 1<<20
	j := w.jobWith(t, talk(t), options.Options{})
	w.blobs.onOpen = func(b blob.Bucket) error {
		if b == blob.Audio {
			return errors.New("the store is away")
		}
		return nil
	}
	status, _ := w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusServiceUnavailable)
	w.clean(t, 0)
	w.blobs.onOpen = nil

	other := w.Put(t, blob.Audio, string(video(t, "other.mp3", "-f lavfi -i sine=duration=1")))
	w.blobs.instead = other
	status, _ = w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusServiceUnavailable)
	if j := w.read(t, j.ID); j.State == job.Done {
		t.Errorf("job %+v", j)
	}
	w.clean(t, 1)
	w.blobs.instead = ""
	status, _ = w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusOK)
	w.clean(t, 2)
}
