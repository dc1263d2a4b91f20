package ledger

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a ledger and its server and can cut a connection when
// a statement passes.
type proxy struct {
	listener net.Listener
	server   string
	running  sync.WaitGroup
	cut      atomic.Pointer[cut]
	cuts     atomic.Int32 // how many were made
}

// cut is where the next connection is cut: at a statement with this text,
// before the server has it, or once the server has answered.
type cut struct {
	text     string
	answered bool
}

// throughProxy returns the address with a proxy in it.
func throughProxy(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: u.Host}
	p.running.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close()
		p.running.Wait()
	})
	u.Host = l.Addr().String()
	return p, u.String()
}

// at makes the proxy cut the next connection that has the text in it.
func (p *proxy) at(text string, answered bool) {
	p.cuts.Store(0)
	p.cut.Store(&cut{text, answered})
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		p.running.Go(func() {
			server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.server)
			if err != nil {
				_ = client.Close()
				return
			}
			p.join(client, server)
		})
	}
}

// join copies both ways until either end, or the proxy, closes.
func (p *proxy) join(client, server net.Conn) {
	var lost atomic.Bool // the answer that comes next is not passed on
	end := func() {
		_ = client.Close()
		_ = server.Close()
	}
	p.running.Go(func() {
		defer end()
		_, _ = io.Copy(writer(func(b []byte) (int, error) {
			if lost.Load() {
				return 0, io.ErrClosedPipe
			}
			return client.Write(b)
		}), server)
	})
	defer func() { // its answer ends the connection, or the client did
		if !lost.Load() {
			end()
		}
	}()
	_, _ = io.Copy(writer(func(b []byte) (int, error) {
		c := p.cut.Load()
		if c == nil || !bytes.Contains(b, []byte(c.text)) || !p.cut.CompareAndSwap(c, nil) {
			return server.Write(b)
		}
		p.cuts.Add(1)
		if !c.answered {
			return 0, io.ErrClosedPipe
		}
		lost.Store(true)
		_, _ = server.Write(b)
		return 0, io.ErrClosedPipe
	}), client)
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
