package sqlqueue

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/broker"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func opened(t *testing.T) *Queue {
	t.Helper()
	q, err := Open(t.Context(), filepath.Join(t.TempDir(), "queue.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// message is one with so many bytes of data.
func message(id string, size int) broker.Message {
	e := cloudevents.New()
	e.SetID(id)
	e.SetType("dev.test.a")
	e.SetSource("/test")
	_ = e.SetData(cloudevents.TextPlain, []byte(strings.Repeat("x", size)))
	return broker.Message{Event: e}
}

func TestEveryCommitIsSynced(t *testing.T) {
	q := opened(t)
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "locking_mode": "exclusive",
	} {
		var got string
		if err := q.db.QueryRow("pragma " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s: got %s (%v), want %s", pragma, got, err, want)
		}
	}
}

func TestFullDiskLosesNothing(t *testing.T) {
	q := opened(t)
	if err := q.Publish(t.Context(), message("small", 5), "q"); err != nil {
		t.Fatal(err)
	}
	pages := func(n string) {
		if _, err := q.db.Exec("pragma max_page_count = " + n); err != nil {
			t.Fatal(err)
		}
	}
	pages("1") // which means: no more than there are
	large := message("large", 1<<20)
	for range 3 {
		if err := q.Publish(t.Context(), large, "q", "r"); !fail.Is(err, fail.Unavailable) {
			t.Fatalf("got %v, want an unavailable error", err)
		}
	}
	pages("1000000")
	if err := q.Publish(t.Context(), large, "q"); err != nil {
		t.Fatal("the disk has room again:", err)
	}
	got := map[int]int{}
	var mu sync.Mutex
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, queue := range []string{"q", "r"} {
		err := q.Consume(ctx, queue, 1, func(d broker.Delivery) {
			mu.Lock()
			defer mu.Unlock()
			got[len(d.Message().Event.Data())]++
			if err := d.Ack(context.Background()); err != nil {
				t.Error(err)
			}
			if got[1<<20] == 1 {
				cancel()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 2 || got[5] != 1 || got[1<<20] != 1 {
		t.Errorf("received %v, want the message from before and the one from after", got)
	}
}

func TestABadChangeSpoilsNoOther(t *testing.T) {
	q := opened(t)
	bad := errors.New("bad")
	do := func(f change) *op {
		return &op{change: f, result: make(chan error, 1)}
	}
	send := func(ctx context.Context, tx *sql.Tx) error {
		return q.send(ctx, tx, message("a", 1), 0, []string{"q"})
	}
	batch := []*op{do(send), do(func(context.Context, *sql.Tx) error { return bad }), do(send)}
	q.apply(batch)
	for i, want := range []error{nil, bad, nil} {
		if err := <-batch[i].result; !errors.Is(err, want) {
			t.Errorf("change %d: got %v, want %v", i, err, want)
		}
	}
	var n int
	if err := q.db.QueryRow("select count(*) from goqite").Scan(&n); err != nil || n != 2 {
		t.Errorf("%d messages stored (%v), want 2", n, err)
	}
}

func TestNoMessageIsEverHidden(t *testing.T) {
	q := opened(t)
	if err := q.Publish(t.Context(), message("a", 1), "q"); err != nil {
		t.Fatal(err)
	}
	const often = 50
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	n := 0
	err := q.Consume(ctx, "q", 1, func(broker.Delivery) {
		if n++; n == often {
			cancel()
		}
	})
	if err != nil || n != often {
		t.Errorf("received %d times (%v), want %d", n, err, often)
	}
}

// put writes a row as an earlier version of the program, or nobody, would.
func put(t *testing.T, q *Queue, body string) {
	t.Helper()
	if _, err := q.db.Exec(`insert into goqite (queue, body) values ('q', ?)`, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func TestTheFormOfAMessageIsKept(t *testing.T) {
	q := opened(t)
	put(t, q, "\x06"+`{"specversion":"1.0","id":"1","source":"/test","type":"dev.test.a","datacontenttype":"application/json","data":{ "n": 1 }}`)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got broker.Message
	err := q.Consume(ctx, "q", 1, func(d broker.Delivery) {
		got = d.Message()
		cancel()
	})
	if err != nil || got.Attempt != 3 || got.Event.ID() != "1" || string(got.Event.Data()) != `{ "n": 1 }` {
		t.Errorf("read %+v (%v), want event 1 at its third retry", got, err)
	}
}

func TestWhatIsNoEventIsDropped(t *testing.T) {
	q := opened(t)
	for _, body := range []string{"", "\x00", "\x00garbage", "\xff", "\x00" + `{"specversion":"1.0"`} {
		put(t, q, body)
	}
	if err := q.Publish(t.Context(), message("good", 1), "q"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := q.Consume(ctx, "q", 1, func(d broker.Delivery) {
		if id := d.Message().Event.ID(); id != "good" {
			t.Errorf("got event %q, want the good one", id)
		}
		if err := d.Ack(context.Background()); err != nil {
			t.Error(err)
		}
		cancel()
	})
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := q.db.QueryRow("select count(*) from goqite").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d messages are left (%v), want none", n, err)
	}
}
