package login

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestClientAddress(t *testing.T) {
	tests := map[string]struct {
		remote    string
		forwarded []string
		hops      int
		want      string
	}{
		"no proxy":                     {"192.0.2.1:4711", nil, 0, "192.0.2.1"},
		"no proxy, header not heeded":  {"192.0.2.1:4711", []string{"203.0.113.9"}, 0, "192.0.2.1"},
		"one proxy":                    {"10.0.0.1:1", []string{"203.0.113.9"}, 1, "203.0.113.9"},
		"one proxy, a forged entry":    {"10.0.0.1:1", []string{"198.51.100.1, 203.0.113.9"}, 1, "203.0.113.9"},
		"one proxy, a forged header":   {"10.0.0.1:1", []string{"198.51.100.1", "203.0.113.9"}, 1, "203.0.113.9"},
		"two proxies":                  {"10.0.0.1:1", []string{"198.51.100.1, 203.0.113.9,10.0.0.2"}, 2, "203.0.113.9"},
		"fewer entries than proxies":   {"10.0.0.1:1", []string{"203.0.113.9"}, 2, "10.0.0.1"},
		"header is missing":            {"10.0.0.1:1", nil, 1, "10.0.0.1"},
		"entry is no address":          {"10.0.0.1:1", []string{"unknown"}, 1, "10.0.0.1"},
		"entry with a port":            {"10.0.0.1:1", []string{"203.0.113.9:80"}, 1, "203.0.113.9"},
		"IPv6 is its network":          {"[2001:db8:1:2:3:4:5:6]:4711", nil, 0, "2001:db8:1:2::/64"},
		"IPv6 entry":                   {"10.0.0.1:1", []string{"2001:db8:1:2::7"}, 1, "2001:db8:1:2::/64"},
		"IPv6 entry in brackets":       {"10.0.0.1:1", []string{"[2001:db8:1:2::7]"}, 1, "2001:db8:1:2::/64"},
		"IPv6 entry with a port":       {"10.0.0.1:1", []string{"[2001:db8:1:2::7]:80"}, 1, "2001:db8:1:2::/64"},
		"IPv6 with a zone":             {"[fe80::1%eth0]:80", nil, 0, "fe80::/64"},
		"IPv4 in IPv6":                 {"[::ffff:192.0.2.1]:80", nil, 0, "192.0.2.1"},
		"connection without addresses": {"@", nil, 0, "unknown"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
			r.RemoteAddr = tt.remote
			r.Header["X-Forwarded-For"] = tt.forwarded
			if got := clientAddress(r, tt.hops, nil); got != tt.want {
				t.Errorf("clientAddress = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestClientBeyondProxiesOfKnownNetworks(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, tt := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"by ingress, activator, queue-proxy": {"127.0.0.1:9", []string{"203.0.113.7, 10.1.2.3, 10.1.2.4"}, "203.0.113.7"},
		"without the activator":              {"127.0.0.1:9", []string{"203.0.113.7", "10.1.2.3"}, "203.0.113.7"},
		"through the gateway":                {"127.0.0.1:9", []string{"203.0.113.7, 10.1.2.3, 10.1.2.4, 127.0.0.1, 10.1.2.9, fd00::3"}, "203.0.113.7"},
		"a client that claims another":       {"127.0.0.1:9", []string{"198.51.100.1, 203.0.113.7, 10.1.2.3"}, "203.0.113.7"},
		"a client that claims a proxy":       {"127.0.0.1:9", []string{"10.9.9.9, 203.0.113.7, 10.1.2.3"}, "203.0.113.7"},
		"nonsense before the proxies":        {"127.0.0.1:9", []string{"nobody, 10.1.2.3"}, "10.1.2.3"},
		"all of them private":                {"127.0.0.1:9", []string{"10.7.7.7, 10.1.2.3"}, "10.7.7.7"},
		"no proxy":                           {"203.0.113.7:9", []string{"198.51.100.1"}, "203.0.113.7"},
		"no header":                          {"127.0.0.1:9", nil, "127.0.0.1"},
		"IPv6":                               {"127.0.0.1:9", []string{"[2001:db8:1:2:3::4]:55, 10.1.2.3"}, "2001:db8:1:2::/64"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = tt.remote, tt.forwarded
			if got := clientAddress(r, 0, proxies); got != tt.want {
				t.Errorf("clientAddress = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPrefersJSON(t *testing.T) {
	tests := map[string]struct {
		accept []string
		want   bool
	}{
		"no header":              {nil, false},
		"anything":               {[]string{"*/*"}, false},
		"JSON":                   {[]string{"application/json"}, true},
		"JSON in capitals":       {[]string{"Application/JSON"}, true},
		"JSON with a charset":    {[]string{"application/json; charset=utf-8"}, true},
		"JSON or anything":       {[]string{"application/json, */*"}, true},
		"JSON, text, anything":   {[]string{"application/json, text/plain, */*"}, true},
		"text":                   {[]string{"text/plain"}, false},
		"text, then JSON":        {[]string{"text/plain, application/json"}, false},
		"JSON, but rather text":  {[]string{"application/json;q=0.5, text/plain;q=0.9"}, false},
		"text, but rather JSON":  {[]string{"text/plain;q=0.5, application/json"}, true},
		"JSON rather unwanted":   {[]string{"application/json;q=0.1, */*"}, false},
		"JSON never":             {[]string{"application/json;q=0, */*"}, false},
		"only JSON never":        {[]string{"application/json;q=0"}, false},
		"text never":             {[]string{"text/plain;q=0, */*"}, true},
		"any application":        {[]string{"application/*"}, true},
		"any text":               {[]string{"text/*, application/*;q=0.9"}, false},
		"a browser":              {[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, false},
		"two headers":            {[]string{"text/html", "application/json"}, true},
		"neither":                {[]string{"image/png"}, false},
		"quality without sense":  {[]string{"application/json;q=high"}, false},
		"quality NaN":            {[]string{"application/json;q=NaN"}, false},
		"garbled part is passed": {[]string{";;;, application/json"}, true},
		"another JSON":           {[]string{"application/problem+json"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := prefersJSON(tt.accept); got != tt.want {
				t.Errorf("prefersJSON(%q) = %v", tt.accept, got)
			}
		})
	}
}
