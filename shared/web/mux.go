package web

import (
	"net/http"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// Mux is an http.ServeMux whose own refusals (404, 405 with Allow) are
// problem documents too. The zero Mux is ready for use.
type Mux struct{ mux http.ServeMux }

// Handle registers a handler for a pattern of http.ServeMux.
func (m *Mux) Handle(pattern string, h http.Handler) { m.mux.Handle(pattern, h) }

// ServeHTTP implements http.Handler.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := m.mux.Handler(r); pattern == "" {
		refused := &refusal{header: http.Header{}}
		m.mux.ServeHTTP(refused, r)
		if refused.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", refused.header.Get("Allow"))
			writeProblem(w, http.StatusMethodNotAllowed, "This address does not take "+r.Method+" requests.")
			return
		}
		Error(w, r, fail.New(fail.NotFound, "There is nothing at this address."))
		return
	}
	m.mux.ServeHTTP(w, r)
}

// refusal keeps the status and header that ServeMux answers, without the body.
type refusal struct {
	header http.Header
	status int
}

func (w *refusal) Header() http.Header         { return w.header }
func (w *refusal) WriteHeader(status int)      { w.status = status }
func (w *refusal) Write(p []byte) (int, error) { return len(p), nil }
