package web

import (
	"io"
	"net/http"
	"time"
)

// bodyIdle is how long a client may send nothing of a body that it announced.
const bodyIdle = 30 * time.Second

// Patient lifts the fixed deadlines of the server round it, as a function may
// stream for longer than any of them, and in their place cuts off a client
// that sends nothing of its body for 30 seconds. One that is only slow is not
// cut off. A Server does this by itself; who serves a function in another way
// puts it round the function.
func Patient(h http.Handler) http.Handler { return patient(h, bodyIdle) }

func patient(h http.Handler, idle time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		// A ResponseWriter without deadlines has none to lift.
		_ = control.SetWriteDeadline(time.Time{})
		_ = control.SetReadDeadline(time.Time{})
		if r.Body != nil && r.Body != http.NoBody {
			// For a handler that does not read the body, too: the server reads
			// what is left of it before it answers.
			_ = control.SetReadDeadline(time.Now().Add(idle))
			r.Body = &patientBody{ReadCloser: r.Body, control: control, idle: idle}
		}
		h.ServeHTTP(w, r)
	})
}

type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
	idle    time.Duration
}

// Read implements io.Reader.
func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.idle))
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { //nolint:errorlint // the contract of io.Reader
		// From here a deadline would end the request: the server reads on, to
		// notice a client that leaves.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
