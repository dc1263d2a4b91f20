package download

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// chunk is what a client must take within the time of a patient, in bytes:
// small enough for the slowest line that is still of use.
const chunk = 256 << 10

// patient is a ResponseWriter that gives each chunk, not the whole answer, a
// deadline: who is slow is served, who has stopped is cut off. It also turns
// the 416 of http.ServeContent into a problem document.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	wait    time.Duration
	refused bool // the problem is the whole body
}

func newPatient(w http.ResponseWriter, wait time.Duration) *patient {
	return &patient{ResponseWriter: w, control: http.NewResponseController(w), wait: wait}
}

// Unwrap is for http.ResponseController.
func (w *patient) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *patient) extend() {
	// A ResponseWriter without deadlines has none to extend.
	_ = w.control.SetWriteDeadline(time.Now().Add(w.wait))
}

func (w *patient) WriteHeader(status int) {
	w.extend()
	if status != http.StatusRequestedRangeNotSatisfiable {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.refused = true
	body, _ := json.Marshal(web.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: "The file does not have this range.",
	})
	h := w.Header()
	h.Del("Content-Disposition")
	h.Del("Content-Length")
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.ResponseWriter.WriteHeader(status)
	_, _ = w.ResponseWriter.Write(append(body, '\n'))
}

func (w *patient) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	w.extend()
	return w.ResponseWriter.Write(p)
}

// ReadFrom hands src on in chunks, so that the ResponseWriter can have the
// kernel copy a file. It looks into a LimitedReader because the ResponseWriter
// only looks into one.
func (w *patient) ReadFrom(src io.Reader) (total int64, err error) {
	left := int64(math.MaxInt64)
	limited, ok := src.(*io.LimitedReader)
	if ok {
		src, left = limited.R, limited.N
	}
	for left > 0 && err == nil {
		w.extend()
		want := min(left, chunk)
		var n int64
		n, err = io.CopyN(w.ResponseWriter, src, want)
		total, left = total+n, left-n
	}
	if ok {
		limited.N = left
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return total, err
}
