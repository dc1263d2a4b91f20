package broker

import (
	"math"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// Trigger says which events go to which subscriber, and how. See Load.
type Trigger struct {
	Name        string
	Broker      string            // name of the Broker that it belongs to
	Filter      map[string]string // attribute or extension → its value
	Subscriber  duckv1.Destination
	Delivery    Policy
	Parallelism int // deliveries at once; at least 1
}

// Policy says what becomes of an event that a subscriber does not take.
type Policy struct {
	Retry      int                 // retries after the first delivery
	Linear     bool                // the n-th retry waits Delay·n; otherwise Delay·2^n
	Delay      time.Duration       // of the backoff
	Timeout    time.Duration       // of a single delivery
	DeadLetter *duckv1.Destination // where it goes after the last retry; nil: nowhere, it is dropped
}

// Backoff is how long the n-th retry waits, counted from 1. Like Knative's it
// knows no upper bound but that of time.Duration.
func (p Policy) Backoff(n int) time.Duration {
	factor := math.Exp2(float64(n))
	if p.Linear {
		factor = float64(n)
	}
	wait := float64(p.Delay) * factor
	if wait >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(wait)
}

const (
	maxDeadWait = time.Minute // between two tries to deliver a dead letter
	maxWaits    = 16          // that Waits tells
)

// wait is how long the n-th retry of an event, or of a dead letter, waits. A
// dead letter's is bounded, so that it reaches its sink soon after that is
// back.
func (p Policy) wait(n int, dead bool) time.Duration {
	if dead {
		return min(p.Backoff(n), maxDeadWait)
	}
	return p.Backoff(n)
}

// Waits are the times that the retries of an event, or those of a dead
// letter, wait: the first 16 of them, as some policies know thousands.
func (p Policy) Waits(dead bool) []time.Duration {
	var all []time.Duration
	for n := 1; len(all) < maxWaits && (dead || n <= p.Retry); n++ {
		wait := p.wait(n, dead)
		if n > 1 && wait == all[len(all)-1] {
			break // and so are all that follow
		}
		all = append(all, wait)
	}
	return all
}

// Match reports whether the event has every attribute of the filter, with the
// same value. No filter matches every event.
func (t *Trigger) Match(e cloudevents.Event) bool {
	for name, want := range t.Filter {
		got, err := attribute(e, name)
		if err != nil || got == "" || got != want {
			return false
		}
	}
	return true
}

// attribute is the canonical string form of an attribute or extension; empty
// for one that is not there, and for datacontenttype, which checkFilter
// refuses.
func attribute(e cloudevents.Event, name string) (string, error) {
	switch name {
	case "specversion":
		return e.SpecVersion(), nil
	case "type":
		return e.Type(), nil
	case "source":
		return e.Source(), nil
	case "subject":
		return e.Subject(), nil
	case "id":
		return e.ID(), nil
	case "time":
		return types.Format(e.Time())
	case "dataschema":
		return e.DataSchema(), nil
	}
	value, ok := e.Extensions()[name]
	if !ok {
		return "", nil
	}
	return types.Format(value)
}

// queue is where the events of the trigger wait.
func (t *Trigger) queue() string { return t.Name }

// deadQueue is where its dead letters wait for the sink.
func (t *Trigger) deadQueue() string { return t.queue() + DeadSuffix }

func (t *Trigger) String() string { return "trigger " + t.Name }
