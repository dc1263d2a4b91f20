package reconcile

import (
	"context"
	"encoding/base64"
	"net/url"
	"path"
	"strconv"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/opengundumstyle/audio-alchemist/shared/ledger"
)

// The extensions that Knative adds to a dead letter
// (https://knative.dev/docs/eventing/event-delivery/).
const (
	errorDest = "knativeerrordest" // URL of the subscriber
	errorCode = "knativeerrorcode" // its last status
	errorData = "knativeerrordata" // its last answer: base64, which may be cut off anywhere
)

// letterOf makes a letter of an event with the extensions of a dead one; the
// event that it keeps has them no more.
func letterOf(e cloudevents.Event) ledger.Letter {
	l := ledger.Letter{
		EventID: e.ID(), Type: e.Type(), Source: e.Source(),
		Subscriber: subscriber(text(e, errorDest)), Answer: answer(text(e, errorData)),
	}
	l.Status, _ = strconv.Atoi(text(e, errorCode)) // 0 where it is none
	original := e.Clone()
	for _, name := range []string{errorDest, errorCode, errorData} {
		original.SetExtension(name, nil)
	}
	l.Event = &original
	return l
}

// keep writes a letter down.
func (f *function) keep(ctx context.Context, l ledger.Letter, run int) error {
	_, err := f.Ledger.KeepLetter(ctx, l, run)
	return err
}

// text is the value of an extension, empty where there is none.
func text(e cloudevents.Event, name string) string {
	v, ok := e.Extensions()[name]
	if !ok {
		return ""
	}
	s, err := types.Format(v)
	if err != nil {
		return ""
	}
	return s
}

// subscriber is the address of a subscriber as people may see it: without a
// user, a query, or any element of the path but the last, as the others may be
// a secret.
func subscriber(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}
	if last := path.Base(path.Clean("/" + u.Path)); last != "/" {
		shown.Path = "/" + last
	}
	return shown.String()
}

// answer reads what a subscriber has answered. What is no base64 is taken as
// it is.
func answer(data string) string {
	whole := strings.TrimRight(data, "=")
	for len(whole)%4 == 1 { // cut off within a byte
		whole = whole[:len(whole)-1]
	}
	raw, err := base64.RawStdEncoding.DecodeString(whole)
	if err != nil {
		return data
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(raw), "\uFFFD"))
}
