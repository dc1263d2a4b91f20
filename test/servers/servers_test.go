package servers

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

func TestMain(m *testing.M) { os.Exit(Run(m)) }

func TestAServerComesBackWhereItWas(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *Server{"MySQL": StartMySQL, "Rabbit": StartRabbit, "Mongo": StartMongo} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			pid, url := s.cmd.Process.Pid, s.URL()
			s.Kill()
			if err := s.ready(t.Context()); err == nil {
				t.Error("it answers after Kill")
			}
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			if s.cmd.Process.Pid == pid || s.URL() != url {
				t.Errorf("process %d at %s, was %d at %s", s.cmd.Process.Pid, s.URL(), pid, url)
			}
			s.Pause()
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if err := s.ready(ctx); err == nil {
				t.Error("it answers while it is paused")
			}
			s.Resume()
			if err := s.await(); err != nil {
				t.Error(err)
			}
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			if err := syscall.Kill(-s.cmd.Process.Pid, 0); err == nil {
				t.Error("something of it runs after Stop")
			}
			if err := s.Remove(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(s.dir); err == nil {
				t.Error("its data is there after Remove")
			}
		})
	}
}

func TestEachTestHasItsOwnPlace(t *testing.T) {
	for name, place := range map[string]func(testing.TB) string{"MySQL": MySQL, "Rabbit": Rabbit, "Mongo": Mongo} {
		t.Run(name, func(t *testing.T) {
			if a, b := place(t), place(t); a == b || strings.Split(a, "@")[0] == "" {
				t.Errorf("got %s twice", a)
			}
		})
	}
	if err := inMongo(t.Context(), Mongo(t), func(ctx context.Context, c *mongo.Client) error { return c.Ping(ctx, nil) }); err != nil {
		t.Error(err)
	}
}
