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

// encode checks an event and returns what a Queue keeps of it: structured
// JSON. It is fail.TooLarge where the data exceeds event.MaxData and
// fail.Invalid where the event is no valid CloudEvent.
func encode(e cloudevents.Event) ([]byte, error) {
	if n := len(e.Data()); n > event.MaxData {
		return nil, fail.New(fail.TooLarge, "The data of the event has %d bytes; at most %d are taken.", n, event.MaxData)
	}
	if err := e.Validate(); err != nil {
		return nil, fail.Wrap(fail.Invalid, err, "validate event")
	}
	if !e.DataBase64 && isJSON(e.DataContentType()) && len(e.Data()) > 0 && !json.Valid(e.Data()) {
		return nil, fail.New(fail.Invalid, "The data of the event is not the JSON that it claims to be.")
	}
	// Not json.Marshal, which would change the white space of JSON data.
	body, err := e.MarshalJSON()
	return body, fail.Wrap(fail.Invalid, err, "encode event")
}

func decode(body []byte) (cloudevents.Event, error) {
	var e cloudevents.Event
	err := e.UnmarshalJSON(body)
	return e, fail.Wrap(fail.Invalid, err, "decode event")
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return contentType == "" || err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

// publication routes an event: what is to be published, with no queues where
// no trigger matches.
func (b *Broker) publication(e cloudevents.Event) (Publication, error) {
	body, err := encode(e)
	if err != nil {
		return Publication{}, err
	}
	p := Publication{Message: Message{Body: body}}
	for i := range b.triggers {
		if t := &b.triggers[i]; t.Match(e) {
			p.Queues = append(p.Queues, t.queue())
		}
	}
	return p, nil
}
