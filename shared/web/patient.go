package web

import (
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"time"
)

const (
	// sendWithin is how long a client may send nothing of a body that it
	// announced.
	sendWithin = 30 * time.Second
	// takeWithin is how long a client may take for each chunk of an answer.
	takeWithin = time.Minute
	// chunk is what a client must take in that time, in bytes: small enough for
	// the slowest line that is still of use.
	chunk = 256 << 10
)

// Patient lifts the fixed deadlines of the server round it, as a function may
// stream for longer than any of them. In their place it cuts off a client that
// sends nothing of its body for 30 seconds, and one that takes less than 256
// KiB of an answer in a minute; one that is only slow is not cut off. A Server
// does this by itself; who serves a function in another way puts it round the
// function.
func Patient(h http.Handler) http.Handler { return patient(h, 0) }

// patient is Patient with another time for both, unless that is 0.
func patient(h http.Handler, silence time.Duration) http.Handler {
	send, take := sendWithin, takeWithin
	if silence > 0 {
		send, take = silence, silence
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		// A ResponseWriter without deadlines has none to lift.
		_ = control.SetWriteDeadline(time.Time{})
		_ = control.SetReadDeadline(time.Time{})
		if r.Body != nil && r.Body != http.NoBody {
			// For a handler that does not read the body, too: the server reads
			// what is left of it before it answers.
			_ = control.SetReadDeadline(time.Now().Add(send))
			// In a copy: the server looks at the body of its own request to decide
			// whether a client that waits for 100 Continue (RFC 9110, 10.1.1) needs
			// one before the answer, and whether to read what is left.
			r = r.WithContext(r.Context())
			r.Body = &patientBody{ReadCloser: r.Body, control: control, wait: send}
		}
		answer := &patientAnswer{ResponseWriter: w, control: control, wait: take}
		h.ServeHTTP(answer, r)
		answer.extend() // for what the server still holds back
	})
}

type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
	wait    time.Duration
}

// Read implements io.Reader.
func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.wait))
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { //nolint:errorlint // the contract of io.Reader
		// From here a deadline would end the request: the server reads on, to
		// notice a client that leaves.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patientAnswer gives each chunk, not the whole answer, a deadline.
type patientAnswer struct {
	http.ResponseWriter
	control *http.ResponseController
	wait    time.Duration
}

// Unwrap is for http.ResponseController.
func (a *patientAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// A ResponseWriter without deadlines has none to extend.
func (a *patientAnswer) extend() { _ = a.control.SetWriteDeadline(time.Now().Add(a.wait)) }

// Write implements io.Writer.
func (a *patientAnswer) Write(p []byte) (total int, err error) {
	for {
		a.extend()
		part := p[:min(len(p), chunk)]
		n, err := a.ResponseWriter.Write(part)
		total, p = total+n, p[n:]
		if err != nil || len(p) == 0 {
			return total, err
		}
	}
}

// FlushError is for http.ResponseController.
func (a *patientAnswer) FlushError() error {
	a.extend()
	return a.control.Flush()
}

// ReadFrom hands a file on in chunks, so that the ResponseWriter can have the
// kernel copy it. It looks into a LimitedReader because the ResponseWriter
// only looks into one. Any other source may take its time: only what is being
// written has a deadline.
func (a *patientAnswer) ReadFrom(src io.Reader) (total int64, err error) {
	left, file := int64(math.MaxInt64), src
	limited, ok := src.(*io.LimitedReader)
	if ok {
		file, left = limited.R, limited.N
	}
	if _, ok := file.(*os.File); !ok {
		return io.Copy(struct{ io.Writer }{a}, src)
	}
	for left > 0 && err == nil {
		a.extend()
		var n int64
		n, err = io.CopyN(a.ResponseWriter, file, min(left, chunk))
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
