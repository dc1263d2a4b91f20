package web

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
		answer(server, func(w http.ResponseWriter) {
			n, err := w.Write(content)
			if err != nil || n != len(content) {
				t.Errorf("wrote %d bytes, %v", n, err)
			}
		})
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
	for name, write := range map[string]func(http.ResponseWriter) (int64, error){
		"in a write": func(w http.ResponseWriter) (int64, error) {
			n, err := w.Write(make([]byte, 1<<20))
			return int64(n), err
		},
		"in a copy": func(w http.ResponseWriter) (int64, error) {
			return io.CopyN(w, bytes.NewReader(make([]byte, 1<<20)), 1<<20)
		},
		"after a pause": func(w http.ResponseWriter) (int64, error) {
			n, err := w.Write(make([]byte, 100<<10))
			if err == nil {
				<-time.After(10 * time.Minute) // of a stream with nothing to tell
				_, err = w.Write(make([]byte, 1<<20))
			}
			return int64(n), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				defer func() { _ = client.Close() }()
				go func() { _, _ = io.CopyN(io.Discard, client, 100<<10) }()
				answer(server, func(w http.ResponseWriter) {
					began := time.Now()
					n, err := write(w)
					pause := 10 * time.Minute
					if name != "after a pause" {
						pause = 0
					}
					if n >= 256<<10 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != pause+time.Minute {
						t.Errorf("%d bytes, %v after %v", n, err, time.Since(began))
					}
				})
			})
		})
	}
}

func TestASlowSourceIsNoSilentClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer func() { _ = client.Close() }()
		go func() { _, _ = io.Copy(io.Discard, client) }()
		answer(server, func(w http.ResponseWriter) {
			if n, err := io.CopyN(w, slowSource{}, 10); n != 10 || err != nil {
				t.Errorf("wrote %d bytes, %v", n, err)
			}
		})
	})
}

// slowSource has a byte every ten minutes.
type slowSource struct{}

func (slowSource) Read(p []byte) (int, error) {
	<-time.After(10 * time.Minute)
	p[0] = 'x'
	return 1, nil
}

// answer answers one request, whose client is at the other end of the
// connection.
func answer(conn net.Conn, h func(http.ResponseWriter)) {
	Patient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { h(w) })).
		ServeHTTP(wire{conn, http.Header{}}, httptest.NewRequest(http.MethodGet, "/", nil))
}
