package download

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a ResponseWriter whose body goes straight into a connection.
type wire struct {
	net.Conn
	header http.Header
}

func (w wire) Header() http.Header { return w.header }

func (w wire) WriteHeader(int) {}

func TestASlowClientGetsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		content := bytes.Repeat([]byte("0123456789abcdef"), 128<<10) // 2 MiB
		var got bytes.Buffer
		done := make(chan error)
		go func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for { // 8 KiB each second: four minutes in all
				if _, err := io.CopyN(&got, client, 8<<10); err != nil {
					done <- err
					return
				}
				<-tick.C
			}
		}()
		began := time.Now()
		w := newPatient(wire{server, http.Header{}}, time.Minute)
		n, err := io.CopyN(w, bytes.NewReader(content), int64(len(content)))
		if err != nil || n != int64(len(content)) {
			t.Errorf("wrote %d bytes, %v", n, err)
		}
		if time.Since(began) < 3*time.Minute {
			t.Error("not slow enough to prove anything")
		}
		_ = server.Close()
		if err := <-done; !errors.Is(err, io.EOF) || !bytes.Equal(got.Bytes(), content) {
			t.Errorf("the client has %d bytes, %v", got.Len(), err)
		}
	})
}

func TestAClientThatStopsIsCutOffAfterTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer func() { _ = client.Close() }()
		go func() { _, _ = io.CopyN(io.Discard, client, 100<<10) }()
		began := time.Now()
		n, err := newPatient(wire{server, http.Header{}}, time.Minute).ReadFrom(bytes.NewReader(make([]byte, 1<<20)))
		if n >= 256<<10 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("%d bytes, %v after %v", n, err, time.Since(began))
		}
	})
}
