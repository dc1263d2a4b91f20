package rabbit_test

import (
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/broker/rabbit"
	"github.com/opengundumstyle/audio-alchemist/shared/fail"
)

func TestOpenChecksTheAddressOnly(t *testing.T) {
	tests := []struct{ name, address, want string }{
		{"plain", "amqp://127.0.0.1:1", ""},
		{"everything", "amqps://user:p%40ss@host:5671/vhost?prefix=a.b-c_1&heartbeat=5&cacertfile=/no/such/file", ""},
		{"empty", "", "want amqp"},
		{"another scheme", "http://user:s3cret@host/", "want amqp"},
		{"no host", "amqp:///vhost", "want amqp"},
		{"no URL", "amqp://user:s3cret@host:port/", "want amqp"},
		{"a bad parameter", "amqp://user:s3cret@host/?heartbeat=soon", "parameters that can be read"},
		{"an unknown parameter", "amqp://user:s3cret@host/?prefx=a", `unknown parameter "prefx"`},
		{"an empty prefix", "amqp://user:s3cret@host/?prefix=", "prefix"},
		{"a prefix with a slash", "amqp://user:s3cret@host/?prefix=a/b", "prefix"},
		{"the server's own prefix", "amqp://user:s3cret@host/?prefix=amq.a", "prefix"},
		{"a long prefix", "amqp://user:s3cret@host/?prefix=" + strings.Repeat("x", 65), "prefix"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, err := rabbit.Open(tt.address, rabbit.Options{})
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				_ = q.Close()
				return
			}
			if !fail.Is(err, fail.Invalid) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want an invalid error with %q and no password", err, tt.want)
			}
		})
	}
}
