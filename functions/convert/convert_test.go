package convert

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/opengundumstyle/audio-alchemist/functions/internal/fixture"
	"github.com/opengundumstyle/audio-alchemist/shared/blob"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/job"
	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
	"github.com/opengundumstyle/audio-alchemist/shared/media"
)

func same(a, b *cloudevents.Event) bool {
	return a != nil && b != nil && a.String() == b.String() && bytes.Equal(a.Data(), b.Data())
}

func TestAVideoBecomesAnMP3(t *testing.T) {
	for name, remote := range map[string]bool{"store with files here": false, "store elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.blobs.remote = remote
			j := w.job(t, talk(t))
			status, reply := w.deliver(t.Context(), t, j)
			wantStatus(t, status, http.StatusOK)
			done := w.read(t, j.ID)
			if done.State != job.Done || done.Progress != 100 || len(done.Results) != 1 {
				t.Fatalf("job %+v", done)
			}
			r := done.Results[0]
			if r.Name != "Füße.mp3" || r.Format != "mp3" || (r.Duration-3*time.Second).Abs() > 100*time.Millisecond {
				t.Errorf("result %+v", r)
			}
			if want, _ := ledger.OutcomeEvent(done); !same(reply, &want) || reply.Type() != event.TypeConversionCompleted {
				t.Errorf("reply %v\nwant %v", reply, want)
			}
			audio, err := w.Blobs.Open(t.Context(), blob.Audio, r.FID)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = audio.Close() }()
			info, err := w.deps.Media.Probe(t.Context(), media.Local(audio.(blob.Local).File()))
			if err != nil || info.Container != "mp3" || info.Audio.Bitrate != 192_000 || audio.Info().Bytes != r.Bytes {
				t.Errorf("stored %+v, %v", info, err)
			}
			w.clean(t, 1)

			status, again := w.deliver(t.Context(), t, j)
			if status != http.StatusOK || !same(reply, again) {
				t.Errorf("delivered again: %d %v", status, again)
			}
			w.clean(t, 1)
		})
	}
}

func TestTenDeliveriesAtOnceMakeOneMP3(t *testing.T) {
	w := start(t)
	j := w.job(t, talk(t))
	srv := httptest.NewServer(New(w.deps))
	defer srv.Close()
	statuses := make([]int, 10)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() {
			req, err := cehttp.NewHTTPRequestFromEvent(t.Context(), srv.URL, ledger.UploadedEvent(j))
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			statuses[i] = resp.StatusCode
		})
	}
	wg.Wait()
	completed := 0
	for _, s := range statuses {
		switch s {
		case http.StatusOK:
			completed++
		case http.StatusServiceUnavailable:
		default:
			t.Errorf("status %d", s)
		}
	}
	done := w.read(t, j.ID)
	if completed == 0 || done.State != job.Done || len(done.Results) != 1 || done.Attempts != 1 {
		t.Errorf("%d completed, job %+v", completed, done)
	}
	w.clean(t, 1)
}

func TestAFileThatCannotBeConvertedFailsItsJob(t *testing.T) {
	front := video(t, "front.mp4", "-f lavfi -i testsrc=size=160x120:duration=4 -f lavfi -i sine=duration=4 -c:v libx264 -preset ultrafast -c:a aac -movflags +faststart")
	tests := map[string]struct {
		content []byte
		want    error
	}{
		"text":            {[]byte("not a film\n"), media.ErrNotMedia},
		"truncated":       {talk(t)[:len(talk(t))/2], media.ErrDamaged},
		"truncated front": {front[:len(front)/2], media.ErrCutShort},
		"no sound":        {video(t, "mute.mp4", "-f lavfi -i testsrc=size=160x120:duration=1 -c:v libx264"), media.ErrNoSound},
		"playlist":        {[]byte("#EXTM3U\n#EXTINF:4,\n/dev/fd/3\n#EXT-X-ENDLIST\n"), media.ErrPlaylist},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			j := w.job(t, tt.content)
			began := time.Now()
			status, reply := w.deliver(t.Context(), t, j)
			wantStatus(t, status, http.StatusOK)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			failed := w.read(t, j.ID)
			if failed.State != job.Failed || failed.Error != tt.want.Error() {
				t.Errorf("job %+v", failed)
			}
			if want, _ := ledger.OutcomeEvent(failed); !same(reply, &want) || reply.Type() != event.TypeConversionFailed {
				t.Errorf("reply %v\nwant %v", reply, want)
			}
			w.clean(t, 0)
			if status, again := w.deliver(t.Context(), t, j); status != http.StatusOK || !same(reply, again) {
				t.Errorf("delivered again: %d %v", status, again)
			}
		})
	}
}

func TestAVideoThatIsGoneFailsItsJob(t *testing.T) {
	w := start(t)
	j := w.job(t, talk(t))
	if err := w.Blobs.Delete(t.Context(), blob.Videos, j.Source); err != nil {
		t.Fatal(err)
	}
	status, reply := w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusOK)
	if failed := w.read(t, j.ID); failed.State != job.Failed || reply.Type() != event.TypeConversionFailed {
		t.Errorf("job %+v, reply %v", failed, reply)
	}
}

func TestAConversionThatTakesTooLongFailsItsJob(t *testing.T) {
	w := start(t)
	w.deps.Timeout = 2 * time.Second
	pid := w.hang(t)
	j := w.job(t, talk(t))
	status, _ := w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusOK)
	if failed := w.read(t, j.ID); failed.State != job.Failed || failed.Error != media.ErrTooLong.Error() {
		t.Errorf("job %+v", failed)
	}
	within(t, 5*time.Second, func() bool { return gone(pid()) })
	w.clean(t, 0)
}

func TestAStoreThatFailsIsTriedAgain(t *testing.T) {
	w := start(t)
	w.blobs.failPuts.Store(1)
	j := w.job(t, talk(t))
	status, _ := w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusServiceUnavailable)
	if got := w.read(t, j.ID); got.State != job.Queued {
		t.Errorf("job %+v", got)
	}
	w.clean(t, 0)
	status, _ = w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusOK)
	w.clean(t, 1)
}

func TestAPanicGivesTheClaimBack(t *testing.T) {
	w := start(t)
	w.blobs.beforePut = func() { panic("store") }
	j := w.job(t, talk(t))
	status, _ := w.deliver(t.Context(), t, j)
	wantStatus(t, status, http.StatusInternalServerError)
	if got := w.read(t, j.ID); got.State != job.Queued {
		t.Errorf("job %+v", got)
	}
}

func TestEventsThatAreNotForConvert(t *testing.T) {
	w := start(t)
	j := w.Failed(t, "owner", "because")
	e, _ := ledger.OutcomeEvent(j)
	status, _ := fixture.Deliver(t.Context(), t, New(w.deps), e)
	wantStatus(t, status, http.StatusBadRequest)
	unknown := ledger.UploadedEvent(job.Job{ID: job.NewID(), Source: blob.NewID()})
	status, reply := fixture.Deliver(t.Context(), t, New(w.deps), unknown)
	if status != http.StatusNoContent || reply != nil {
		t.Errorf("unknown job: %d %v", status, reply)
	}
}
