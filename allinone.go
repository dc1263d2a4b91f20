package alchemist

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/opengundumstyle/audio-alchemist/compose/telemetry"
	"github.com/opengundumstyle/audio-alchemist/config/knative/events"
	"github.com/opengundumstyle/audio-alchemist/functions/gateway"
	"github.com/opengundumstyle/audio-alchemist/shared/backend"
	"github.com/opengundumstyle/audio-alchemist/shared/backend/queue"
	"github.com/opengundumstyle/audio-alchemist/shared/broker"
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

	admin    firstAdmin
	prepared chan struct{}           // closed when the ledger is in order
	broken   context.Context         // ends when a part ends that should not
	breaks   context.CancelCauseFunc // ends broken; the first cause stays

	ends []func() // what Start began, in the order of ending
}

const (
	// settleWithin is for functions whose deliveries were cut off, to give
	// back what they hold.
	settleWithin = 5 * time.Second
	// prepareEvery is how often a ledger that is away is tried at the start.
	prepareEvery = time.Second
)

// eventFunctions are what the broker delivers to.
var eventFunctions = []string{"convert", "notify", "reconcile"}

// Open opens the data folder and every store. Embedded ones must be usable;
// servers may be away, see Start. Where an earlier process was killed it puts
// in order what that left. A first administrator's password is printed to out.
func Open(ctx context.Context, c config.Config, out io.Writer) (_ *System, err error) {
	s := &System{config: c, prepared: make(chan struct{})}
	s.broken, s.breaks = context.WithCancelCause(context.Background())
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
	if err := s.compose(); err != nil {
		return nil, err
	}
	s.admin = firstAdmin{config: c, ledger: s.opener.Ledger(c.LedgerURL), out: out}
	if s.embedded() {
		return s, s.prepare(ctx)
	}
	return s, nil
}

// embedded reports whether the ledger is in this process.
func (s *System) embedded() bool { return strings.HasPrefix(s.config.LedgerURL, "sqlite:") }

// prepare puts the ledger in order: an all-in-one has a SQLite file to itself,
// so whoever held a lease there is gone; on a server leases run out. It may be
// called again after fail.Unavailable.
func (s *System) prepare(ctx context.Context) error {
	if err := s.opener.Ledger(s.config.LedgerURL).Recover(ctx); err != nil {
		return err
	}
	if err := s.admin.ensure(ctx); err != nil {
		return err
	}
	close(s.prepared)
	return nil
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

// compose makes the functions and joins them by the broker, and by the
// gateway.
func (s *System) compose() error {
	functions := map[string]http.Handler{}
	for _, name := range config.Functions() {
		if name != "gateway" { // here it is in front of its neighbours
			functions[name] = builders[name](s.config, s.opener)
		}
	}
	waiting := queue.Open(s.opener, s.config.QueueURL)
	if err := s.opener.Err(); err != nil {
		return err
	}
	var err error
	s.broker, err = broker.New(broker.Options{
		Queue: waiting, Manifests: events.Manifests, Resolve: s.resolve,
		Parallelism: map[string]int{"convert": s.config.Conversions}, Drain: s.config.DrainTimeout,
	})
	if err != nil {
		return err
	}
	s.handler = s.once(telemetry.Open(s.config, s.opener).Handler("gateway", gateway.New(gateway.Deps{Routes: functions})))
	prefix := strings.TrimPrefix(s.base, "http://"+s.loop.Addr().String())
	var mux web.Mux
	for _, name := range eventFunctions {
		mux.Handle(prefix+name+"/", http.StripPrefix(prefix+name, functions[name]))
	}
	mux.Handle(prefix+"broker", s.broker.Ingress())
	s.inner = &mux
	return nil
}

// resolve finds the address of what a manifest refers to: a Service of
// Knative is the function of that name.
func (s *System) resolve(ref duckv1.KReference) (string, error) {
	if ref.Kind != "Service" || !slices.Contains(eventFunctions, ref.Name) {
		return "", fail.New(fail.Invalid, "%s %s: want one of the Services %s", ref.Kind, ref.Name, strings.Join(eventFunctions, ", "))
	}
	return s.base + ref.Name + "/", nil
}

// once lets requests through once the system is prepared.
func (s *System) once(next http.Handler) http.Handler {
	return web.Handler(func(w http.ResponseWriter, r *http.Request) error {
		select {
		case <-s.prepared:
			next.ServeHTTP(w, r)
			return nil
		default:
			return errStarting
		}
	})
}

var errStarting = fail.Later(fail.Unavailable, 2*prepareEvery, "The system is still starting; its database does not answer yet.")

// Handler is the gateway: all that people use. It answers 503 until the
// ledger has been reached for the first time.
func (s *System) Handler() http.Handler { return s.handler }

// Ready reports whether everything works: every store can be used now, and no
// part of the system has ended.
func (s *System) Ready(ctx context.Context) error {
	if err := context.Cause(s.broken); err != nil {
		return err
	}
	if err := s.opener.Ready(ctx); err != nil {
		return err
	}
	select {
	case <-s.prepared:
		return nil
	default:
		return errStarting
	}
}

// Start begins to deliver events, and to sweep. With a ledger on a server that
// is away it tries until that is there, and begins then. Stop ends all of it.
func (s *System) Start() {
	loop := web.Server{Handler: s.inner, Drain: settleWithin}
	s.begin("loopback", func(ctx context.Context) error { return loop.Serve(ctx, s.loop) })
	s.begin("broker", s.afterwards(s.broker.Run))
	s.begin("ticker", s.afterwards(s.tick))
	if !s.embedded() {
		s.begin("preparation", s.prepareLater)
	}
}

// prepareLater prepares until it works, and stays until Stop.
func (s *System) prepareLater(ctx context.Context) error {
	again := time.NewTicker(prepareEvery)
	defer again.Stop()
	for told := false; ; told = true {
		err := s.prepare(ctx)
		if err == nil {
			slog.Info("the ledger is there")
			<-ctx.Done()
			return nil
		}
		if ctx.Err() == nil && !fail.Is(err, fail.Unavailable) {
			return err
		}
		if !told {
			slog.Warn("waiting for the ledger", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// afterwards is a part that begins when the system is prepared.
func (s *System) afterwards(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-s.prepared:
			return run(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// begin runs a part of the system until Stop. One that ends before breaks the
// system.
func (s *System) begin(what string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := run(ctx)
		if ctx.Err() != nil && err == nil {
			return
		}
		slog.Error("part of the system ended", "part", what, "error", err)
		if ctx.Err() == nil {
			s.breaks(&fail.Error{Kind: fail.Unavailable, Msg: fmt.Sprintf("%s ended: %v", what, err), Err: fail.New(fail.Unavailable, "The %s has ended; start the system again.", what)})
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
// requests under way may take DRAIN_TIMEOUT, and then deliveries. It drains,
// and returns an error, too when a part of the system breaks. It closes the
// listener.
func Run(ctx context.Context, c config.Config, l net.Listener, out io.Writer) error {
	c = c.Listening(l.Addr())
	s, err := Open(ctx, c, out)
	if err != nil {
		_ = l.Close()
		return err
	}
	s.Start()
	slog.Info("serving", "address", "http://"+l.Addr().String(), "data", c.DataDir)
	return s.serve(ctx, l)
}

// serve serves what was started, and stops it.
func (s *System) serve(ctx context.Context, l net.Listener) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(s.broken, end)()
	defer context.AfterFunc(ctx, func() { slog.Info("draining", "within", s.config.DrainTimeout) })()
	err := web.Server{Handler: s.handler, Ready: s.Ready, Functions: config.Functions(), Drain: s.config.DrainTimeout}.Serve(ctx, l)
	err = errors.Join(err, context.Cause(s.broken), s.Stop())
	slog.Info("stopped")
	return err
}
