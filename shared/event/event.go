// Package event is the contract between the functions: which events there
// are, what they carry and how they are named. Events are CloudEvents 1.0
// (https://github.com/cloudevents/spec); schema/ holds a JSON Schema for the
// data of each type.
//
// An event is made from what the ledger holds of a job and from nothing else,
// so that one that is sent again looks the same in every byte.
package event

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// The types of event. A change that an old reader would misread gets a new
// version number.
const (
	TypeVideoUploaded       = "dev.audioalchemist.video.uploaded.v1"       // upload → convert
	TypeConversionCompleted = "dev.audioalchemist.conversion.completed.v1" // convert → notify
	TypeConversionFailed    = "dev.audioalchemist.conversion.failed.v1"    // convert, reconcile → notify
	TypePing                = "dev.knative.sources.ping"                   // PingSource → reconcile: sweep now
)

// Known returns the type if it is one that our functions take, and otherwise
// "other": anybody can invent types, so that one cannot count by them.
func Known(typ string) string {
	switch typ {
	case TypeVideoUploaded, TypeConversionCompleted, TypeConversionFailed, TypePing:
		return typ
	}
	return "other"
}

// MaxData is the most bytes that the data of an event may have.
const MaxData = 64 << 10

// Schemas holds schema/<type>.json for each type that carries Data.
//
//go:embed schema/*.json
var Schemas embed.FS

// Ref is what an event needs to know of its job.
type Ref struct {
	Job   string    // id of the job: the subject
	Run   int       // which run of the job: 0, or how often its owner has retried it
	At    time.Time // when what the event tells of happened
	Trace string    // W3C traceparent; may be empty
}

// Data is the data of every event of ours: references, never media.
type Data struct {
	Job   string   `json:"job"`             // id of the job
	Run   int      `json:"run"`             // which run of the job
	FIDs  []string `json:"fids,omitempty"`  // video.uploaded: the video; conversion.completed: the results
	Error string   `json:"error,omitempty"` // conversion.failed: the reason, for the owner
}

// VideoUploaded says that the video with the blob id fid waits for conversion.
func VideoUploaded(r Ref, fid string) cloudevents.Event {
	return build(TypeVideoUploaded, "/upload", r, Data{FIDs: []string{fid}})
}

// ConversionCompleted says that a job is done; fids are its results.
func ConversionCompleted(r Ref, fids []string) cloudevents.Event {
	return build(TypeConversionCompleted, "/convert", r, Data{FIDs: fids})
}

// ConversionFailed says that a job has failed, and why.
func ConversionFailed(r Ref, reason string) cloudevents.Event {
	return build(TypeConversionFailed, "/convert", r, Data{Error: reason})
}

func build(typ, source string, r Ref, d Data) cloudevents.Event {
	d.Job, d.Run = r.Job, r.Run
	e := cloudevents.New()
	e.SetID(fmt.Sprintf("%s.%d.%s", r.Job, r.Run, short(typ)))
	e.SetType(typ)
	e.SetSource(source)
	e.SetSubject(r.Job)
	e.SetTime(r.At.UTC())
	if r.Trace != "" {
		e.SetExtension(TraceExtension, r.Trace)
	}
	// Marshalling a struct of strings and ints cannot fail.
	_ = e.SetData(cloudevents.ApplicationJSON, d)
	return e
}

func short(typ string) string {
	return strings.TrimSuffix(strings.TrimPrefix(typ, "dev.audioalchemist."), ".v1")
}

// Decode returns the data of an event of ours. It is fail.Invalid where the
// data is not JSON of that shape, names no job, or exceeds MaxData.
func Decode(e cloudevents.Event) (Data, error) {
	var d Data
	if n := len(e.Data()); n > MaxData {
		return d, fail.New(fail.Invalid, "The data of the event has %d bytes; at most %d are taken.", n, MaxData)
	}
	if err := json.Unmarshal(e.Data(), &d); err != nil {
		return d, fail.New(fail.Invalid, "The data of the event is not what %s carries.", e.Type())
	}
	if d.Job == "" {
		return d, fail.New(fail.Invalid, "The event names no job.")
	}
	return d, nil
}
