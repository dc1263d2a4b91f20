package telemetry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics counts what the functions do. All methods do nothing on nil.
type Metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	inFlight  *prometheus.GaugeVec
	received  *prometheus.CounterVec
	sent      *prometheus.CounterVec

	conversions *prometheus.CounterVec
	work        *prometheus.HistogramVec
	media       prometheus.Counter
	videoBytes  prometheus.Counter
	audioBytes  prometheus.Counter
	retries     prometheus.Counter

	deliveries  *prometheus.CounterVec
	waits       *prometheus.HistogramVec
	deadLetters *prometheus.CounterVec
	mails       *prometheus.CounterVec
	jobs        *prometheus.GaugeVec
	oldest      *prometheus.GaugeVec
}

// The buckets of the histograms, in seconds.
var (
	requestBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600}
	workBuckets    = []float64{.25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
	waitBuckets    = []float64{.05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 6 * 3600}
)

// newMetrics makes a registry of its own with everything in it.
func newMetrics() *Metrics {
	m := &Metrics{
		registry:  prometheus.NewRegistry(),
		requests:  counters("http_requests_total", "Requests that were answered, by the class of their status.", "function", "method", "route", "code"),
		durations: histograms("http_request_duration_seconds", "Time from the header of a request to the end of its answer.", requestBuckets, "function", "method", "route"),
		inFlight:  gauges("http_requests_in_flight", "Requests that are being answered.", "function"),
		received:  counters("http_request_bytes_total", "Bytes of the bodies of requests.", "function"),
		sent:      counters("http_response_bytes_total", "Bytes of the bodies of answers.", "function"),

		conversions: counters("alchemist_conversions_total", "Ended attempts at a conversion, for each format that was asked for: done, failed (a verdict on the video), again (a fault that may pass) or lost (the job went to another, or was deleted).", "outcome", "format"),
		work:        histograms("alchemist_conversion_duration_seconds", "Time that an attempt at a conversion took, from the claim to the outcome.", workBuckets, "outcome"),
		media:       counter("alchemist_converted_media_seconds_total", "Seconds of sound in the results of conversions that are done."),
		videoBytes:  counter("alchemist_converted_video_bytes_total", "Bytes of the videos of conversions that are done."),
		audioBytes:  counter("alchemist_converted_audio_bytes_total", "Bytes of the results of conversions that are done."),
		retries:     counter("alchemist_conversion_retries_total", "Claims of a job that had been claimed before in the same run."),

		deliveries:  counters("alchemist_deliveries_total", "Deliveries of events by their answer: done, again (the broker is to deliver once more) or refused.", "function", "type", "outcome"),
		waits:       histograms("alchemist_queue_wait_seconds", "Time that a job waited until it was claimed: for its first attempt at conversion since its upload, for each attempt at its mail since its end.", waitBuckets, "function"),
		deadLetters: counters("alchemist_dead_letters_total", "Events that could not be delivered and reached reconcile.", "type"),
		mails:       counters("alchemist_mails_total", "Mails by outcome: sent, refused (for good) or again.", "outcome"),
		jobs:        gauges("alchemist_jobs", "Jobs that are not finished with, at the last sweep: those that have ended count until their owner is told.", "state"),
		oldest:      gauges("alchemist_oldest_job_age_seconds", "Time since the last change of the job that has rested longest in the state, at the last sweep; 0 for none.", "state"),
	}
	m.registry.MustRegister(
		m.requests, m.durations, m.inFlight, m.received, m.sent,
		m.conversions, m.work, m.media, m.videoBytes, m.audioBytes, m.retries,
		m.deliveries, m.waits, m.deadLetters, m.mails, m.jobs, m.oldest,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(),
	)
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// request is one that was answered.
type request struct {
	method, route string
	status        int
	took          time.Duration
	in, out       int64 // bytes
}

// requestBegins counts a request as in flight until what it returns is called.
func (m *Metrics) requestBegins(function string) func(request) {
	if m == nil {
		return func(request) {}
	}
	flying := m.inFlight.WithLabelValues(function)
	flying.Inc()
	return func(r request) {
		flying.Dec()
		m.requests.WithLabelValues(function, r.method, r.route, strconv.Itoa(r.status/100)+"xx").Inc()
		m.durations.WithLabelValues(function, r.method, r.route).Observe(r.took.Seconds())
		m.received.WithLabelValues(function).Add(float64(r.in))
		m.sent.WithLabelValues(function).Add(float64(r.out))
	}
}

// The outcomes of conversions, deliveries and mails.
const (
	Done    = "done"
	Failed  = "failed"
	Again   = "again"
	Lost    = "lost"
	Refused = "refused"
	Sent    = "sent"
)

// Conversion counts an ended attempt: its outcome (Done, Failed, Again or
// Lost), the formats that were asked for, and how long it took.
func (m *Metrics) Conversion(outcome string, formats []string, took time.Duration) {
	if m == nil {
		return
	}
	for _, f := range formats {
		m.conversions.WithLabelValues(outcome, f).Inc()
	}
	m.work.WithLabelValues(outcome).Observe(took.Seconds())
}

// Converted adds what a conversion that is done has read and made: bytes of
// the video and of the results, and the length of these.
func (m *Metrics) Converted(video, audio int64, length time.Duration) {
	if m == nil {
		return
	}
	m.videoBytes.Add(float64(video))
	m.audioBytes.Add(float64(audio))
	m.media.Add(length.Seconds())
}

// Claimed notes that a function has claimed a job that had waited so long.
func (m *Metrics) Claimed(function string, waited time.Duration) {
	if m != nil {
		m.waits.WithLabelValues(function).Observe(max(0, waited.Seconds()))
	}
}

// ClaimedAgain notes that a job is converted that was claimed before.
func (m *Metrics) ClaimedAgain() {
	if m != nil {
		m.retries.Inc()
	}
}

// Delivered counts a delivery to a function by its outcome: Done, Again or
// Refused. The type of the event is one that the function knows, or "other".
func (m *Metrics) Delivered(function, typ, outcome string) {
	if m != nil {
		m.deliveries.WithLabelValues(function, typ, outcome).Inc()
	}
}

// DeadLetter counts an event that could not be delivered.
func (m *Metrics) DeadLetter(typ string) {
	if m != nil {
		m.deadLetters.WithLabelValues(typ).Inc()
	}
}

// Mail counts a mail: Sent, Refused or Again.
func (m *Metrics) Mail(outcome string) {
	if m != nil {
		m.mails.WithLabelValues(outcome).Inc()
	}
}

// Jobs sets how many jobs are in a state, and for how long the oldest of them
// has been.
func (m *Metrics) Jobs(state string, count int, oldest time.Duration) {
	if m != nil {
		m.jobs.WithLabelValues(state).Set(float64(count))
		m.oldest.WithLabelValues(state).Set(max(0, oldest.Seconds()))
	}
}
