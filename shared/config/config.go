// Package config reads every environment variable of the system, in one
// place. Each has a default that works on one machine with no server. Load
// reports all bad values at once, each with its name, what was wanted and
// what was found.
package config

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// Config is the whole configuration. Sizes are in bytes, rates in bits per
// second.
type Config struct {
	Host string // HOST: address to listen on
	Port int    // PORT: 0 lets the system choose

	DataDir   string // DATA_DIR: where everything embedded is kept; absolute
	WorkDir   string // WORK_DIR: temporary files of conversions; absolute
	LedgerURL string // LEDGER_URL: users and jobs, sqlite:PATH or mysql://…
	BlobsURL  string // BLOBS_URL: videos and results, file:FOLDER, mongodb://… or mongodb+srv://…
	QueueURL  string // QUEUE_URL: the local broker's queue, queue:PATH, amqp://… or amqps://…
	MailURL   string // MAIL_URL: maildir:FOLDER, smtp://…, smtps://…
	MailFrom  string // MAIL_FROM: the sender of mails
	PublicURL string // PUBLIC_URL: where people reach the gateway; for links in mails
	Sink      string // K_SINK: where a single function sends its events

	Function      string // FUNCTION: the one function that the root function serves; empty for all
	AdminEmail    string // ADMIN_EMAIL: the account that the first start makes
	AdminPassword string // ADMIN_PASSWORD: its password; empty lets the first start choose one
	ImportURL     string // IMPORT_URL: where the original system's users are, mysql://…; empty is LEDGER_URL

	SigningKey   string        // TOKEN_SIGNING_KEY: file with login's private key, or the key
	PublicKeys   string        // TOKEN_PUBLIC_KEYS: file with the key set that verifies tokens, or the set; empty derives it from SigningKey
	LinkKey      string        // LINK_KEY: file with the secret that signs download links, or the secret
	Issuer       string        // TOKEN_ISSUER
	Audience     string        // TOKEN_AUDIENCE
	TokenTTL     time.Duration // TOKEN_TTL
	Registration bool          // REGISTRATION: open or closed
	ProxyHops    int           // PROXY_HOPS: how many proxies in front are trusted to name the client

	TrustedProxies []netip.Prefix // TRUSTED_PROXIES: networks of such proxies, where their number varies

	MaxUpload      int64         // MAX_UPLOAD: largest video
	Bitrate        int           // BITRATE: of the MP3
	ConvertTimeout time.Duration // CONVERT_TIMEOUT: longest conversion
	MaxDuration    time.Duration // MAX_DURATION: longest sound that is converted
	MaxResult      int64         // MAX_RESULT: largest result
	Conversions    int           // CONVERSIONS: how many at once on one machine
	FFmpeg         string        // FFMPEG: program; empty finds it in PATH
	FFprobe        string        // FFPROBE: program; empty finds it in PATH
	MediaSandbox   string        // MEDIA_SANDBOX: auto, or require to refuse a kernel that cannot confine the two

	Retention    time.Duration // RETENTION: age at which jobs and their blobs are deleted; 0 keeps them
	OrphanAge    time.Duration // ORPHAN_AGE: age at which a blob that no job refers to is deleted
	SweepEvery   time.Duration // SWEEP_EVERY: how often reconcile runs on one machine
	DrainTimeout time.Duration // DRAIN_TIMEOUT: how long requests under way may still take at the end

	LogLevel  string // LOG_LEVEL: debug, info, warn or error
	LogFormat string // LOG_FORMAT: text or json

	MetricsPort int // METRICS_PORT: where Prometheus reads metrics, at HOST; 0 for nowhere

	TracesURL        string  // OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or OTEL_EXPORTER_OTLP_ENDPOINT with /v1/traces; empty for no traces, as with OTEL_SDK_DISABLED
	TracesHeaders    string  // OTEL_EXPORTER_OTLP_HEADERS: name=value pairs with commas between them; may hold a secret
	TracesSampler    string  // OTEL_TRACES_SAMPLER
	TracesSamplerArg float64 // OTEL_TRACES_SAMPLER_ARG: the share of traces, of a sampler by ratio
	ServiceName      string  // OTEL_SERVICE_NAME: in traces; empty for that of the program

	LoginURL, UploadURL, DownloadURL, JobsURL string // *_URL: the functions behind a gateway of its own
}

// Functions returns the names of all functions: the values of FUNCTION.
func Functions() []string {
	return []string{"login", "upload", "convert", "notify", "download", "jobs", "reconcile", "gateway"}
}

// MaxConvertTimeout is the longest CONVERT_TIMEOUT: a revision of Knative may
// not take longer for one request.
const MaxConvertTimeout = 10 * time.Minute

// minOrphanAge is the shortest ORPHAN_AGE: more than a function takes from the
// end of a blob to the job that refers to it, and what clocks differ by. The
// first of several results waits for the last one.
const minOrphanAge = MaxConvertTimeout + 5*time.Minute

// Load reads the environment through getenv (os.Getenv). The error names
// every variable with a bad value.
func Load(getenv func(string) string) (Config, error) {
	r := reader{getenv: getenv}
	c := Config{
		Host:    r.text("HOST", "127.0.0.1"),
		Port:    int(r.number("PORT", 8080, 0, 65535)),
		DataDir: r.path("DATA_DIR", "data"),

		Function:      r.choice("FUNCTION", "", Functions()...),
		AdminEmail:    r.text("ADMIN_EMAIL", "admin@localhost"),
		AdminPassword: r.text("ADMIN_PASSWORD", ""),
		ImportURL:     r.address("IMPORT_URL", "", "mysql"),
		Sink:          r.address("K_SINK", "", "http", "https"),

		Issuer:       r.text("TOKEN_ISSUER", "audio-alchemist"),
		Audience:     r.text("TOKEN_AUDIENCE", "audio-alchemist"),
		TokenTTL:     r.duration("TOKEN_TTL", 24*time.Hour, time.Minute, 30*24*time.Hour),
		Registration: r.choice("REGISTRATION", "closed", "open", "closed") == "open",
		ProxyHops:    int(r.number("PROXY_HOPS", 0, 0, 16)),

		TrustedProxies: r.networks("TRUSTED_PROXIES"),

		MaxUpload:      r.size("MAX_UPLOAD", 2<<30),
		Bitrate:        int(r.number("BITRATE", 192_000, 32_000, 320_000)),
		ConvertTimeout: r.duration("CONVERT_TIMEOUT", MaxConvertTimeout, time.Second, MaxConvertTimeout),
		MaxDuration:    r.duration("MAX_DURATION", 12*time.Hour, time.Second, 30*24*time.Hour),
		MaxResult:      r.size("MAX_RESULT", 16<<30),
		Conversions:    int(r.number("CONVERSIONS", int64(runtime.NumCPU()), 1, 256)),
		FFmpeg:         r.text("FFMPEG", ""),
		FFprobe:        r.text("FFPROBE", ""),
		MediaSandbox:   r.choice("MEDIA_SANDBOX", "auto", "auto", "require"),

		Retention:    r.duration("RETENTION", 30*24*time.Hour, 0, 100*365*24*time.Hour),
		OrphanAge:    r.duration("ORPHAN_AGE", time.Hour, minOrphanAge, 30*24*time.Hour),
		SweepEvery:   r.duration("SWEEP_EVERY", time.Minute, 100*time.Millisecond, time.Hour),
		DrainTimeout: r.duration("DRAIN_TIMEOUT", 30*time.Second, 0, MaxConvertTimeout),

		LogLevel:  r.choice("LOG_LEVEL", "info", "debug", "info", "warn", "error"),
		LogFormat: r.choice("LOG_FORMAT", "text", "text", "json"),

		MetricsPort: int(r.number("METRICS_PORT", 0, 0, 65535)),

		TracesURL:        r.traces(),
		TracesHeaders:    r.text("OTEL_EXPORTER_OTLP_HEADERS", ""),
		TracesSampler:    r.choice("OTEL_TRACES_SAMPLER", "parentbased_always_on", "always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
		TracesSamplerArg: r.share("OTEL_TRACES_SAMPLER_ARG", 1),
		ServiceName:      r.text("OTEL_SERVICE_NAME", ""),

		LoginURL:    r.address("LOGIN_URL", "", "http", "https"),
		UploadURL:   r.address("UPLOAD_URL", "", "http", "https"),
		DownloadURL: r.address("DOWNLOAD_URL", "", "http", "https"),
		JobsURL:     r.address("JOBS_URL", "", "http", "https"),
	}
	in := func(name string) string { return filepath.Join(c.DataDir, name) }
	c.WorkDir = r.path("WORK_DIR", in("work"))
	c.LedgerURL = r.address("LEDGER_URL", "sqlite:"+in("ledger.db"), "sqlite", "mysql")
	c.BlobsURL = r.address("BLOBS_URL", "file:"+in("blobs"), "file", "mongodb", "mongodb+srv")
	c.QueueURL = r.address("QUEUE_URL", "queue:"+in("queue.db"), "queue", "amqp", "amqps")
	c.MailURL = r.address("MAIL_URL", "maildir:"+in("mail"), "maildir", "smtp", "smtps")
	c.SigningKey = r.key("TOKEN_SIGNING_KEY", in("keys/login.pem"), "-----BEGIN ")
	c.PublicKeys = r.key("TOKEN_PUBLIC_KEYS", "", "{")
	c.LinkKey = r.key("LINK_KEY", in("keys/links.key"), "base64:")
	c.PublicURL = r.address("PUBLIC_URL", c.ownURL(), "http", "https")
	c.MailFrom = r.text("MAIL_FROM", "Audio-Alchemist <noreply@"+host(c.PublicURL)+">")
	return c, r.err()
}

// Address is where to listen, for net.Listen.
func (c Config) Address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// MetricsAddress is where to serve metrics, for net.Listen; empty for nowhere.
func (c Config) MetricsAddress() string {
	if c.MetricsPort == 0 {
		return ""
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(c.MetricsPort))
}

// Listening returns the configuration of a program that listens on the
// address: with PORT=0 that is where the system has put it.
func (c Config) Listening(at net.Addr) Config {
	if tcp, ok := at.(*net.TCPAddr); ok && c.Port == 0 {
		own := c.PublicURL == c.ownURL()
		if c.Port = tcp.Port; own {
			c.PublicURL = c.ownURL()
		}
	}
	return c
}

// ownURL is the address of the gateway as seen from this machine.
func (c Config) ownURL() string {
	h := c.Host
	if ip := net.ParseIP(h); h == "" || ip != nil && ip.IsUnspecified() {
		h = "localhost"
	}
	return "http://" + net.JoinHostPort(h, strconv.Itoa(c.Port))
}

// host is the host of a URL, in a form that an email address can have.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || net.ParseIP(u.Hostname()) != nil {
		return "localhost"
	}
	return u.Hostname()
}

// Logger makes the logger of the program: to w, in LOG_FORMAT, from LOG_LEVEL
// on.
func (c Config) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // Load has checked it
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
