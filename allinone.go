package alchemist

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/config/knative"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/broker/sqlqueue"
	"github.com/opengundumstyle/audio-alchemist/shared/config"
	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/web"
)

// System is every function in one process, joined by the embedded broker
// over loopback HTTP, as Knative's broker joins them in a cluster.
type System struct {
	handler http.Handler
	inner   http.Handler // what the loopback serves: the event functions and the broker's ingress
	loop    net.Listener
	base    string // address of the loopback, with a secret first path element
	broker  *broker.Broker
	opener  *backend.Opener
	config  config.Config
	close   []func() error

	ends []func() // what Start began, in the order of ending
}

// settleWithin is for functions whose deliveries were cut off, to give back
// what they hold.
const settleWithin = 5 * time.Second

// Open opens the data folder and everything in it. Where an earlier process
// was killed it puts in order what that left. A first administrator's password
// is printed to out.
func Open(ctx context.Context, c config.Config, out io.Writer) (_ *System, err error) {
	s := &System{config: c}
	defer func() {
		if err != nil {
			_ = s.closeAll()
		}
	}()
	unlock, err := lockFolder(c.DataDir)
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, unlock)
	if err := os.MkdirAll(c.WorkDir, 0o700); err != nil {
		return nil, fail.Wrap(fail.Unavailable, err, "WORK_DIR: make the folder")
	}
	if err := s.listen(ctx); err != nil {
		return nil, err
	}
	s.config.Sink = s.base + "broker"
	s.opener = backend.New(ctx)
	s.close = append(s.close, s.opener.Close)
	stores := openStores(s.config, s.opener)
	if err := s.opener.Err(); err != nil {
		return nil, err
	}
	// The data folder is this process's alone: whoever held a lease is gone.
	if err := stores.ledger.Recover(ctx); err != nil {
		return nil, err
	}
	if err := ensureAdmin(ctx, stores, out); err != nil {
		return nil, err
	}
	return s, s.compose(ctx, stores.functions())
}

// listen opens the loopback. Its address holds a secret, so that only the
// broker of this process can send events to the functions.
func (s *System) listen(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fail.Wrap(fail.Unavailable, err, "listen on the loopback")
	}
	s.loop = l
	s.close = append(s.close, func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the program first
	s.base = "http://" + l.Addr().String() + "/" + hex.EncodeToString(secret[:]) + "/"
	return nil
}

// compose joins the functions by the broker, and by the gateway.
func (s *System) compose(ctx context.Context, functions map[string]http.Handler) error {
	path, _ := strings.CutPrefix(s.config.QueueURL, "queue:")
	queue, err := sqlqueue.Open(ctx, path)
	if err != nil {
		return fail.Wrap(fail.KindOf(err), err, "QUEUE_URL")
	}
	s.close = append(s.close, queue.Close)
	s.broker, err = broker.New(broker.Options{
		Queue: queue, Manifests: knative.Manifests, Resolve: s.resolve,
		Parallelism: map[string]int{"convert": s.config.Conversions}, Drain: s.config.DrainTimeout,
	})
	if err != nil {
		return err
	}
	s.handler = origin(functions)
	prefix := strings.TrimPrefix(s.base, "http://"+s.loop.Addr().String())
	var mux web.Mux
	for _, name := range []string{"convert", "notify", "reconcile"} {
		mux.Handle(prefix+name+"/", http.StripPrefix(prefix+name, functions[name]))
	}
	mux.Handle(prefix+"broker", s.broker.Ingress())
	s.inner = &mux
	return nil
}

// resolve finds the address of what a manifest refers to: a Service of
// Knative is the function of that name.
func (s *System) resolve(ref duckv1.KReference) (string, error) {
	if ref.Kind != "Service" {
		return "", fail.New(fail.Invalid, "%s %s is no Service", ref.Kind, ref.Name)
	}
	return s.base + ref.Name + "/", nil
}

// Handler is the gateway: all that people use.
func (s *System) Handler() http.Handler { return s.handler }

// Ready reports whether every store can be used now.
func (s *System) Ready(ctx context.Context) error { return s.opener.Ready(ctx) }

// Start begins to deliver events, and to sweep. Stop ends both.
func (s *System) Start() {
	loop := web.Server{Handler: s.inner, Drain: settleWithin}
	s.begin("loopback", func(ctx context.Context) error { return loop.Serve(ctx, s.loop) })
	s.begin("broker", s.broker.Run)
	s.begin("ticker", s.tick)
}

// begin runs a part of the system until Stop.
func (s *System) begin(what string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := run(ctx); err != nil {
			slog.Error("part of the system ended", "part", what, "error", err)
		}
	}()
	s.ends = append([]func(){func() { cancel(); <-ended }}, s.ends...)
}

// tick sends reconcile what a PingSource would, at once and then again and
// again.
func (s *System) tick(ctx context.Context) error {
	reconcile := event.NewSender(s.base + "reconcile/").Within(5 * time.Minute) // a sweep takes less
	every := time.NewTicker(s.config.SweepEvery)
	defer every.Stop()
	for {
		e := cloudevents.New()
		e.SetID(uuid.NewString())
		e.SetType(event.TypePing)
		e.SetSource("/apis/v1/namespaces/audio-alchemist/pingsources/reconcile")
		e.SetTime(time.Now().UTC())
		_ = e.SetData(cloudevents.ApplicationJSON, struct{}{}) // cannot fail
		if err := reconcile.Send(ctx, e); err != nil && ctx.Err() == nil {
			slog.Warn("sweep failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// Stop ends what Start began, the ticker and the broker before the functions
// that they call: deliveries under way may take DRAIN_TIMEOUT, then they are
// cut off, to be made again by the next process. It closes all that Open
// opened.
func (s *System) Stop() error {
	for _, end := range s.ends {
		end()
	}
	return s.closeAll()
}

func (s *System) closeAll() error {
	var errs []error
	for i := len(s.close) - 1; i >= 0; i-- {
		errs = append(errs, s.close[i]())
	}
	s.close = nil
	return errors.Join(errs...)
}

// Run serves the whole system on the listener until ctx is done, then drains:
// requests under way may take DRAIN_TIMEOUT, and then deliveries. It closes
// the listener.
func Run(ctx context.Context, c config.Config, l net.Listener, out io.Writer) error {
	c = c.Listening(l.Addr())
	s, err := Open(ctx, c, out)
	if err != nil {
		_ = l.Close()
		return err
	}
	s.Start()
	slog.Info("serving", "address", "http://"+l.Addr().String(), "data", c.DataDir)
	stop := context.AfterFunc(ctx, func() { slog.Info("draining", "within", c.DrainTimeout) })
	defer stop()
	err = web.Server{Handler: s.handler, Ready: s.Ready, Drain: c.DrainTimeout}.Serve(ctx, l)
	err = errors.Join(err, s.Stop())
	slog.Info("stopped")
	return err
}
