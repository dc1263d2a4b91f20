package broker

import (
	"encoding/json"
	"mime"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/opengundumstyle/audio-alchemist/shared/event"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// maxBody bounds an event as it comes over HTTP, in bytes: event.MaxData in
// structured mode, escaped at worst, and generous attributes.
const maxBody = 512 << 10

// check tells whether a Queue takes an event: it is fail.TooLarge where the
// data exceeds event.MaxData and fail.Invalid where the event is no valid
// CloudEvent.
func check(e cloudevents.Event) error {
	if n := len(e.Data()); n > event.MaxData {
		return fail.New(fail.TooLarge, "The data of the event has %d bytes; at most %d are taken.", n, event.MaxData)
	}
	if err := e.Validate(); err != nil {
		return fail.Wrap(fail.Invalid, err, "validate event")
	}
	if !e.DataBase64 && isJSON(e.DataContentType()) && len(e.Data()) > 0 && !json.Valid(e.Data()) {
		return fail.New(fail.Invalid, "The data of the event is not the JSON that it claims to be.")
	}
	return nil
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return contentType == "" || err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

// publication routes an event: what is to be published, with no queues where
// no trigger matches.
func (b *Broker) publication(e cloudevents.Event) (Publication, error) {
	if err := check(e); err != nil {
		return Publication{}, err
	}
	p := Publication{Message: Message{Event: e}}
	for i := range b.triggers {
		if t := &b.triggers[i]; t.Match(e) {
			p.Queues = append(p.Queues, t.queue())
		}
	}
	return p, nil
}
