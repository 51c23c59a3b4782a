package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows. docs/serving.md lists them.
type metrics struct {
	registry                                 *prometheus.Registry
	requests, refused, cut, reloads          *prometheus.CounterVec
	tokens, hits, misses                     *prometheus.CounterVec
	took, waited, stage, batch               *prometheus.HistogramVec
	inFlight                                 prometheus.Gauge
	running, waiting, slots, model, lastLoad *prometheus.GaugeVec
	handler                                  http.Handler
}

func newMetrics(version string) *metrics {
	fast := prometheus.ExponentialBuckets(0.00025, 2, 18) // 0.25 ms … 33 s
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mllm4rec_" + name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mllm4rec_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mllm4rec_" + name, Help: help, Buckets: buckets}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("http_requests_total", "Requests answered; code 499: the client hung up.", "route", "code"),
		refused:  counter("refused_total", "Requests refused because all places of their class, or the memory for bodies, were taken.", "class"),
		cut:      counter("truncated_total", "Titles, captions and items of histories that prompts had to leave out.", "what"),
		reloads:  counter("reloads_total", "Reloads of the models.", "result"),
		tokens:   counter("model_tokens_total", "Tokens (ranker) or items (retriever) that models read.", "model"),
		hits:     counter("cache_hits_total", "Entries that a cache held.", "cache"),
		misses:   counter("cache_misses_total", "Entries that a cache did not hold.", "cache"),
		took:     histogram("http_request_seconds", "From a request's header to the end of its answer.", fast, "route"),
		waited:   histogram("queue_seconds", "Wait of accepted requests until they ran.", fast, "class"),
		stage:    histogram("stage_seconds", "Time of a stage in a request that it was part of.", fast, "stage"),
		batch:    histogram("batch_size", "Histories in a run of the retriever, prompts of a round of the ranker.", prometheus.ExponentialBuckets(1, 2, 10), "model"),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mllm4rec_http_in_flight", Help: "Requests being answered now."}),
		running:  gauge("running", "Requests that run now.", "class"),
		waiting:  gauge("waiting", "Requests that wait now.", "class"),
		slots:    gauge("slots", "Requests that may run at once.", "class"),
		model:    gauge("model_info", "1 for each model that answers.", "kind", "fingerprint", "provider", "precision", "base"),
		lastLoad: gauge("models_opened_timestamp_seconds", "When the models that answer were opened."),
	}
	build := gauge("build_info", "1; the version is in the label.", "version")
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(
		m.requests, m.refused, m.cut, m.reloads, m.tokens, m.hits, m.misses, m.took, m.waited, m.stage, m.batch, m.inFlight,
		m.running, m.waiting, m.slots, m.model, m.lastLoad, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

// observer is what a backend is opened with.
func (m *metrics) observer() Observer {
	return Observer{
		Batch: func(model string, requests, tokens int) {
			m.batch.WithLabelValues(model).Observe(float64(requests))
			m.tokens.WithLabelValues(model).Add(float64(max(tokens, 0)))
		},
		Cache: func(cache string, hits, misses int) {
			m.hits.WithLabelValues(cache).Add(float64(max(hits, 0)))
			m.misses.WithLabelValues(cache).Add(float64(max(misses, 0)))
		},
	}
}

// answered counts a request that is over.
func (m *metrics) answered(n *note, took time.Duration) {
	route := n.route
	if route == "" {
		route = "none" // the page, and what is not there
	}
	m.requests.WithLabelValues(route, strconv.Itoa(n.status)).Inc()
	m.took.WithLabelValues(route).Observe(took.Seconds())
}

// stages are those of an answer that ran.
func (m *metrics) stages(t Timings) {
	for stage, ms := range map[string]float64{"retrieve": t.Retrieve, "prompt": t.Prompt, "rank": t.Rank, "caption": t.Caption} {
		if ms > 0 {
			m.stage.WithLabelValues(stage).Observe(ms / 1000)
		}
	}
}

func (m *metrics) cuts(c Cut) {
	m.cut.WithLabelValues("titles").Add(float64(max(c.Titles, 0)))
	m.cut.WithLabelValues("captions").Add(float64(max(c.Captions, 0)))
	m.cut.WithLabelValues("history").Add(float64(max(c.History, 0)))
}

func (m *metrics) reloaded(err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.reloads.WithLabelValues(result).Inc()
}

// opened tells which models answer from now on.
func (m *metrics) opened(set *models) {
	m.model.Reset()
	for _, model := range set.info.Models {
		m.model.WithLabelValues(model.Kind, model.Fingerprint, model.Provider, model.Precision, model.Base).Set(1)
	}
	for class, gate := range set.gates {
		m.slots.WithLabelValues(string(class)).Set(float64(gate.Slots()))
	}
	m.lastLoad.WithLabelValues().SetToCurrentTime()
}

// queues reads how full the gates are, when somebody looks.
func (m *metrics) queues(set *models) {
	for class, gate := range set.gates {
		m.running.WithLabelValues(string(class)).Set(float64(gate.Running()))
		m.waiting.WithLabelValues(string(class)).Set(float64(gate.Waiting()))
	}
}

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	if set, err := s.shelf.borrow(); err == nil {
		s.metrics.queues(set)
		set.giveBack()
	}
	s.metrics.handler.ServeHTTP(w, r)
	return nil
}
