package download

import (
	"io"
	"net/http"
)

// ranged keeps the 416 that http.ServeContent would write, so that it can be
// answered like every error.
type ranged struct {
	http.ResponseWriter
	refused bool
}

// Unwrap is for http.ResponseController.
func (w *ranged) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *ranged) WriteHeader(status int) {
	if w.refused = status == http.StatusRequestedRangeNotSatisfiable; !w.refused {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write implements io.Writer.
func (w *ranged) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom lets the kernel copy a file to the connection. http.ServeContent
// copies nothing after a 416.
func (w *ranged) ReadFrom(src io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, src) }
