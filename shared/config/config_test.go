package config

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, env map[string]string) (Config, error) {
	t.Helper()
	return Load(func(name string) string { return env[name] })
}

func TestDefaultsWorkWithNoServer(t *testing.T) {
	c, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := filepath.Abs("data")
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"address": {c.Address(), "127.0.0.1:8080"},
		"data":    {c.DataDir, data},
		"ledger":  {c.LedgerURL, "sqlite:" + data + "/ledger.db"},
		"blobs":   {c.BlobsURL, "file:" + data + "/blobs"},
		"mail":    {c.MailURL, "maildir:" + data + "/mail"},
		"public":  {c.PublicURL, "http://127.0.0.1:8080"},
		"from":    {c.MailFrom, "Audio-Alchemist <noreply@localhost>"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %q, want %q", name, pair[0], pair[1])
		}
	}
	if c.MaxUpload != 2<<30 || c.Bitrate != 192_000 || c.Registration || c.ConvertTimeout != 10*time.Minute ||
		c.MaxDuration != 12*time.Hour || c.MaxResult != 16<<30 || c.MediaSandbox != "auto" {
		t.Errorf("defaults: %+v", c)
	}
}

func TestValuesAreRead(t *testing.T) {
	c, err := load(t, map[string]string{
		"HOST": "0.0.0.0", "PORT": "9000", "DATA_DIR": "/srv/aa", "MAX_UPLOAD": "100MiB", "REGISTRATION": "open",
		"CONVERT_TIMEOUT": "90s", "RETENTION": "0s", "MAIL_URL": "smtp://mail.example:25", "LOG_FORMAT": "json",
		"MAX_DURATION": "3h", "MAX_RESULT": "2GiB", "MEDIA_SANDBOX": "require", "ORPHAN_AGE": "15m",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Address() != "0.0.0.0:9000" || c.MaxUpload != 100<<20 || !c.Registration || c.ConvertTimeout != 90*time.Second ||
		c.Retention != 0 || c.LedgerURL != "sqlite:/srv/aa/ledger.db" || c.MailURL != "smtp://mail.example:25" || c.LogFormat != "json" ||
		c.MaxDuration != 3*time.Hour || c.MaxResult != 2<<30 || c.MediaSandbox != "require" || c.OrphanAge != 15*time.Minute {
		t.Errorf("read %+v", c)
	}
	if c.PublicURL != "http://localhost:9000" {
		t.Errorf("PublicURL = %s", c.PublicURL)
	}
}

func TestTrustedProxies(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "[]",
		"10.1.2.3/8, 2001:db8::/32": "[10.0.0.0/8 2001:db8::/32]",
		"203.0.113.0/24,private":    "[203.0.113.0/24 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 127.0.0.0/8 fc00::/7 fe80::/10 ::1/128]",
		"10.0.0.1":                  "TRUSTED_PROXIES: want networks",
		"10.0.0.0/8,publicly":       "TRUSTED_PROXIES: want networks",
	} {
		c, err := load(t, map[string]string{"TRUSTED_PROXIES": text})
		if got := fmt.Sprint(c.TrustedProxies); err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q is read as %s (%v), want %s", text, got, err, want)
		}
	}
}

func TestKeysAreFilesOrValues(t *testing.T) {
	for _, v := range []struct{ signing, public, link string }{
		{"/keys/a.pem", "/keys/a.json", "/keys/links"},
		{"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----", `{"keys":[]}`, "base64:AAAA"},
	} {
		c, err := load(t, map[string]string{"TOKEN_SIGNING_KEY": v.signing, "TOKEN_PUBLIC_KEYS": v.public, "LINK_KEY": v.link})
		if err != nil || c.SigningKey != v.signing || c.PublicKeys != v.public || c.LinkKey != v.link {
			t.Errorf("of %+v it read %q, %q, %q (%v)", v, c.SigningKey, c.PublicKeys, c.LinkKey, err)
		}
	}
}

func TestAllBadValuesAreReportedAtOnce(t *testing.T) {
	bad := map[string]string{
		"PORT": "http", "MAX_UPLOAD": "many", "REGISTRATION": "maybe", "CONVERT_TIMEOUT": "11m", "BITRATE": "1",
		"METRICS_PORT": "x", "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_SDK_DISABLED": "x",
		"OTEL_TRACES_SAMPLER": "x", "OTEL_TRACES_SAMPLER_ARG": "NaN",
		"LEDGER_URL": "postgres://root:hunter2@db", "PUBLIC_URL": "http:", "LOG_LEVEL": "loud", "RETENTION": "-1s", "K_SINK": "ftp://x",
		"FUNCTION": "mix", "ORPHAN_AGE": "14m59s", "BLOBS_URL": "s3://x", "QUEUE_URL": "kafka://x", "MAX_DURATION": "0s", "MAX_RESULT": "0", "MEDIA_SANDBOX": "off",
	}
	_, err := load(t, bad)
	if err == nil {
		t.Fatal("no error")
	}
	for name := range bad {
		if !strings.Contains(err.Error(), name+": want ") {
			t.Errorf("%s is not reported in:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password is repeated in:\n%v", err)
	}
}

func TestServersAreNamedByTheirScheme(t *testing.T) {
	for name, schemes := range map[string][]string{
		"LEDGER_URL": {"mysql"}, "BLOBS_URL": {"mongodb", "mongodb+srv"}, "QUEUE_URL": {"amqp", "amqps"}, "MAIL_URL": {"smtp", "smtps"},
	} {
		for _, scheme := range schemes {
			url := scheme + "://user:password@host/name?option=1"
			c, err := load(t, map[string]string{name: url})
			if read := []string{c.LedgerURL, c.BlobsURL, c.QueueURL, c.MailURL}; err != nil || !slices.Contains(read, url) {
				t.Errorf("%s=%s: %v, %v", name, url, read, err)
			}
		}
	}
}

func TestWhereTracesAndMetricsGo(t *testing.T) {
	const all, own = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	for name, tt := range map[string]struct {
		env             map[string]string
		traces, metrics string
	}{
		"by default nowhere":   {nil, "", ""},
		"a collector":          {map[string]string{all: "http://c:4318/"}, "http://c:4318/v1/traces", ""},
		"one for traces alone": {map[string]string{all: "http://c:4318", own: "https://t/in"}, "https://t/in", ""},
		"disabled":             {map[string]string{all: "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"}, "", ""},
		"metrics":              {map[string]string{"METRICS_PORT": "9464", "HOST": "0.0.0.0"}, "", "0.0.0.0:9464"},
	} {
		c, err := load(t, tt.env)
		if err != nil || c.TracesURL != tt.traces || c.MetricsAddress() != tt.metrics {
			t.Errorf("%s: traces to %q, metrics at %q, %v", name, c.TracesURL, c.MetricsAddress(), err)
		}
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]int64{"1": 1, "512KiB": 512 << 10, "2 GiB": 2 << 30, "1TiB": 1 << 40} {
		if c, err := load(t, map[string]string{"MAX_UPLOAD": in}); err != nil || c.MaxUpload != want {
			t.Errorf("%q: %d, %v; want %d", in, c.MaxUpload, err, want)
		}
	}
	for _, in := range []string{"0", "-1", "1.5GiB", "GiB", "9999999999TiB", "1GB"} {
		if _, err := load(t, map[string]string{"MAX_UPLOAD": in}); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

func TestAPortThatTheSystemChoosesIsInThePublicURL(t *testing.T) {
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}
	for name, tt := range map[string]struct {
		env  map[string]string
		want string
	}{
		"by default": {map[string]string{"PORT": "0"}, "http://127.0.0.1:4711"},
		"set":        {map[string]string{"PORT": "0", "PUBLIC_URL": "https://sound.example"}, "https://sound.example"},
		"fixed port": {map[string]string{"PORT": "9000"}, "http://127.0.0.1:9000"},
	} {
		c, err := load(t, tt.env)
		if got := c.Listening(at).PublicURL; got != tt.want || err != nil {
			t.Errorf("%s: %s, %v; want %s", name, got, err, tt.want)
		}
	}
}
