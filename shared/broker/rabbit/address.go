package rabbit

import (
	"net/url"
	"regexp"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

// defaultPrefix begins the names of what belongs to this broker on the
// server.
const defaultPrefix = "alchemist"

// Not "amq.", which the server keeps for itself.
var goodPrefix = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// parameters are those of the address that the client library knows
// (https://www.rabbitmq.com/docs/uri-query-parameters).
var parameters = map[string]bool{
	"cacertfile": true, "certfile": true, "keyfile": true, "server_name_indication": true,
	"auth_mechanism": true, "heartbeat": true, "connection_timeout": true, "channel_max": true,
}

// parse takes the prefix out of an address and returns what is left, which
// the client library can read. Its errors are fail.Invalid and repeat nothing
// of the address, which may hold a password.
func parse(address string) (server string, p prefix, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "amqp" && u.Scheme != "amqps" || u.Hostname() == "" {
		return "", "", fail.New(fail.Invalid, "want amqp(s)://user:password@host:port/vhost")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", "", fail.New(fail.Invalid, "the parameters after the question mark cannot be read")
	}
	name := defaultPrefix
	if query.Has("prefix") {
		name = query.Get("prefix")
		query.Del("prefix")
	}
	if !goodPrefix.MatchString(name) || strings.HasPrefix(name, "amq.") {
		return "", "", fail.New(fail.Invalid, "prefix: want up to 64 letters, digits, dots, dashes and underscores, found %q", name)
	}
	for parameter := range query {
		if !parameters[parameter] {
			return "", "", fail.New(fail.Invalid, "unknown parameter %q", parameter)
		}
	}
	u.RawQuery = query.Encode()
	if _, err := amqp.ParseURI(u.String()); err != nil {
		return "", "", fail.New(fail.Invalid, "want amqp(s)://user:password@host:port/vhost, with parameters that can be read")
	}
	return u.String(), prefix(name), nil
}
