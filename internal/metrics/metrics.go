// Package metrics counts what happens. Its collectors live with the shared state, so that
// counters survive reloads.
package metrics

import (
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-zoho/caddy-zoho/internal/version"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// maxAccountSeries is the number of accounts of a client up to which each has
// series of its own. Above it only as many accounts in trouble have them.
const maxAccountSeries = 1000

// lowBudget is what deploy/alerts.yaml rings at.
const lowBudget = 2

// Metrics lives with the shared state, so that counters survive reloads; each
// configuration's registry gets the same collectors.
type Metrics struct {
	requests        *prometheus.CounterVec
	callers         *prometheus.CounterVec
	dryRuns         *prometheus.CounterVec
	problems        *prometheus.CounterVec
	refusals        *prometheus.CounterVec
	rateLimited     *prometheus.CounterVec
	creditsLeft     *prometheus.GaugeVec
	replays         *prometheus.CounterVec
	tokenRequests   *prometheus.CounterVec
	tokenDuration   *prometheus.HistogramVec
	tokenWait       *prometheus.HistogramVec
	tokensLostEarly *prometheus.CounterVec
	storeErrors     *prometheus.CounterVec
	functions       []prometheus.Collector

	credit sync.Map // creditKey → prometheus.Gauge, nil for an account without series of its own

	mu       sync.Mutex
	labelled map[tokencache.Key]bool // accounts that have series of their own
	count    map[string]int          // of them, by client
}

// creditKey is what a gauge of credits is kept by. Looking it up by its labels costs more
// than all else that is done for an answer.
type creditKey struct {
	tokencache.Key
	service string
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"client"}, labels...))
}

func histogram(name, help string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help,
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15}}, []string{"client"})
}

// New makes the collectors. They are registered with each configuration anew. kept tells how
// many bytes of request bodies are held in memory and in files.
func New(kept func() (memory, files int64)) *Metrics {
	return &Metrics{
		labelled: make(map[tokencache.Key]bool),
		count:    make(map[string]int),
		requests: counter("zoho_requests_total",
			"Requests sent to Zoho, by service and class of the answer's status.", "service", "code_class"),
		callers: counter("zoho_caller_requests_total",
			"Requests of callers with a name, by class of the status that they got.", "caller", "code_class"),
		dryRuns: counter("zoho_policy_dry_run_total",
			"Requests that no policy admits, but that were carried out because of dry_run."),
		problems: counter("zoho_proxy_errors_total",
			"Requests answered by the proxy itself, by the code of the problem.", "code"),
		refusals: counter("zoho_upstream_auth_failures_total",
			"Answers of Zoho that refuse the token or the call, by verdict.", "service", "verdict"),
		rateLimited: counter("zoho_upstream_rate_limited_total",
			"Answers of Zoho that say that a limit of its API is reached.", "service"),
		creditsLeft: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "zoho_upstream_credits_remaining",
			Help: "API calls that are left, according to Zoho's last answer that said so.",
		}, []string{"client", "account", "service"}),
		replays: counter("zoho_replays_total",
			"Times that a request was sent again with a newer token, and requests that could not be.", "result"),
		tokenRequests: counter("zoho_token_requests_total",
			"Access tokens requested from the authorization server.", "result"),
		tokenDuration: histogram("zoho_token_request_duration_seconds",
			"Time that the authorization server took to answer."),
		tokenWait: histogram("zoho_token_wait_seconds", "Time that requests waited for an access token."),
		tokensLostEarly: counter("zoho_tokens_lost_early_total",
			"Access tokens refused before they expired, whose successor was accepted.", "account"),
		storeErrors: counter("zoho_store_errors_total", "Failed operations of the token store.", "operation"),
		functions: []prometheus.Collector{
			buildInfo(),
			keptBytes("memory", func() int64 { memory, _ := kept(); return memory }),
			keptBytes("file", func() int64 { _, files := kept(); return files }),
		},
	}
}

// buildInfo is 1, for its labels: which versions run where.
func buildInfo() prometheus.Collector {
	linked := version.Linked()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "zoho_build_info",
		Help:        "1 for the versions that run: of this module, of Caddy and of Go.",
		ConstLabels: prometheus.Labels{"version": linked.Module, "caddy": linked.Caddy, "go": linked.Go},
	}, func() float64 { return 1 })
}

func keptBytes(where string, bytes func() int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "zoho_replay_buffer_bytes",
		Help:        "Space used for request bodies, so that they can be sent again.",
		ConstLabels: prometheus.Labels{"where": where},
	}, func() float64 { return float64(bytes()) })
}

func (m *Metrics) collectors() []prometheus.Collector {
	return append([]prometheus.Collector{m.requests, m.callers, m.dryRuns, m.problems, m.refusals, m.rateLimited, m.creditsLeft, m.replays,
		m.tokenRequests, m.tokenDuration, m.tokenWait, m.tokensLostEarly, m.storeErrors}, m.functions...)
}

// Register puts the collectors into a configuration's registry.
func (m *Metrics) Register(registry *prometheus.Registry, more ...prometheus.Collector) error {
	for _, collector := range append(m.collectors(), more...) {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(collector); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
}

// storeOperations are those of the store that can fail.
var storeOperations = []string{"load", "save", "load_grant"}

// Begin has what an alert looks at begin at 0 for a client, also its problems of these codes: of a
// series that begins at 1, Prometheus does not see that it was increased.
func (m *Metrics) Begin(client string, codes ...string) {
	for _, operation := range storeOperations {
		m.storeErrors.WithLabelValues(client, operation)
	}
	for _, code := range codes {
		m.problems.WithLabelValues(client, code)
	}
}

// Observe counts what happened to a token.
func (m *Metrics) Observe(e tokencache.Event) {
	client := e.Key.Client
	switch e.Type {
	case tokencache.EventTokenRequest:
		m.tokenRequests.WithLabelValues(client, e.Result).Inc()
		m.tokenDuration.WithLabelValues(client).Observe(e.Duration.Seconds())
	case tokencache.EventWaited:
		m.tokenWait.WithLabelValues(client).Observe(e.Duration.Seconds())
	case tokencache.EventLostEarly:
		account, _ := m.accountLabel(e.Key)
		m.tokensLostEarly.WithLabelValues(client, account).Inc()
	case tokencache.EventStoreError:
		m.storeErrors.WithLabelValues(client, e.Operation).Inc()
	}
}

// accountLabel is the account, as long as its client has not too many of them with
// such a series; "other" stands for the rest.
func (m *Metrics) accountLabel(key tokencache.Key) (label string, own bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.labelled[key] {
		if m.count[key.Client] >= maxAccountSeries {
			return "other", false
		}
		m.labelled[key] = true
		m.count[key.Client]++
	}
	return key.Account, true
}

// codeClasses are the values of the label code_class, by the status' first digit.
var codeClasses = [...]string{"error", "1xx", "2xx", "3xx", "4xx", "5xx"}

// classOf is the class of a status, 0 for what has none.
func classOf(status int) int {
	if class := status / 100; class < len(codeClasses) {
		return class
	}
	return 0
}

// Requests are a client's counters of requests. Looking a series up by its
// labels costs as much as all else that is done for a request, so each is kept.
type Requests struct {
	client   string
	vec      *prometheus.CounterVec
	services map[string]*[len(codeClasses)]atomic.Pointer[prometheus.Counter]
}

// Requests are the counters of a client's requests to the services, looked up once.
func (m *Metrics) Requests(client string, services []string) *Requests {
	c := &Requests{
		client:   client,
		vec:      m.requests,
		services: make(map[string]*[len(codeClasses)]atomic.Pointer[prometheus.Counter]),
	}
	for _, service := range append(services, "") {
		c.services[service] = new([len(codeClasses)]atomic.Pointer[prometheus.Counter])
	}
	return c
}

// Count counts an answer; status 0 stands for none.
func (c *Requests) Count(service string, status int) {
	class := classOf(status)
	kept := &c.services[service][class]
	counter := kept.Load()
	if counter == nil {
		made := c.vec.WithLabelValues(c.client, ServiceLabel(service), codeClasses[class])
		counter = &made
		kept.Store(counter)
	}
	(*counter).Inc()
}

// Callers are a client's counters of its callers with names.
type Callers struct {
	client string
	vec    *prometheus.CounterVec
	known  func(name string) bool // others share a series
	series sync.Map               // name → *[len(codeClasses)]prometheus.Counter
}

// Callers are the counters of a client's callers. known says which names are of a closed set.
func (m *Metrics) Callers(client string, known func(name string) bool) *Callers {
	return &Callers{client: client, vec: m.callers, known: known}
}

// Count counts what a caller was told; one without a name is not counted.
func (c *Callers) Count(name string, status int) {
	if name == "" {
		return
	}
	class := classOf(status)
	if !c.known(name) {
		name = "other"
	}
	kept, ok := c.series.Load(name)
	if !ok {
		made := new([len(codeClasses)]prometheus.Counter)
		for i, class := range codeClasses {
			made[i] = c.vec.WithLabelValues(c.client, name, class)
		}
		kept, _ = c.series.LoadOrStore(name, made)
	}
	kept.(*[len(codeClasses)]prometheus.Counter)[class].Inc()
}

// DryRun counts a call that no policy admits, and that was carried out.
func (m *Metrics) DryRun(client string) { m.dryRuns.WithLabelValues(client).Inc() }

// Refusal counts an answer of Zoho's that refuses the token or the call.
func (m *Metrics) Refusal(client, service, verdict string) {
	m.refusals.WithLabelValues(client, ServiceLabel(service), verdict).Inc()
}

// Limited counts an answer of Zoho's that says a limit is reached.
func (m *Metrics) Limited(client, service string) {
	m.rateLimited.WithLabelValues(client, ServiceLabel(service)).Inc()
}

// Credits keeps what an account may still call. Of accounts without series of their
// own there is nothing to add up.
func (m *Metrics) Credits(key tokencache.Key, service string, left int64) {
	kept, ok := m.credit.Load(creditKey{key, service})
	if !ok {
		var gauge prometheus.Gauge
		if account, own := m.accountLabel(key); own {
			gauge = m.creditsLeft.WithLabelValues(key.Client, account, ServiceLabel(service))
		}
		kept, _ = m.credit.LoadOrStore(creditKey{key, service}, gauge)
	}
	if gauge, own := kept.(prometheus.Gauge); own {
		gauge.Set(float64(left))
	}
}

// Forget ends the series of an account that is gone, and lets another have theirs.
func (m *Metrics) Forget(key tokencache.Key) {
	m.mu.Lock()
	if m.labelled[key] {
		delete(m.labelled, key)
		m.count[key.Client]--
	}
	m.mu.Unlock()
	m.credit.Range(func(k, gauge any) bool {
		if of := k.(creditKey); of.Key == key || of.Client == key.Client && gauge == nil {
			m.credit.Delete(k)
		}
		return true
	})
	series := prometheus.Labels{"client": key.Client, "account": key.Account}
	m.creditsLeft.DeletePartialMatch(series)
	m.tokensLostEarly.DeletePartialMatch(series)
}

// Problem counts an answer of our own.
func (m *Metrics) Problem(client, code string) { m.problems.WithLabelValues(client, code).Inc() }

// Replay counts a request that was sent again, or could not be.
func (m *Metrics) Replay(client, result string) { m.replays.WithLabelValues(client, result).Inc() }

// ServiceLabel names what goes to an `upstream` under a path of no known service.
func ServiceLabel(service string) string {
	if service == "" {
		return "other"
	}
	return service
}

// Connections exports the state of every connection of a configuration, by client.
type Connections iter.Seq2[string, iter.Seq[tokencache.Status]]

var (
	connectionLabels = []string{"client", "account"}

	descExpiry = prometheus.NewDesc(
		"zoho_token_expiry_timestamp_seconds",
		"When the current access token ends.",
		connectionLabels,
		nil,
	)
	descGeneration = prometheus.NewDesc(
		"zoho_token_generation",
		"Count of the access tokens of the connection.",
		connectionLabels,
		nil,
	)
	descBudget = prometheus.NewDesc(
		"zoho_token_budget_remaining",
		"Access tokens that may still be requested in the current window.",
		connectionLabels,
		nil,
	)
	descIssued = prometheus.NewDesc(
		"zoho_refresh_tokens_issued",
		"Refresh tokens of the account and client that this proxy knows of; Zoho keeps 20.",
		connectionLabels,
		nil,
	)
	descState = prometheus.NewDesc(
		"zoho_connection_state",
		"1 for the state that the connection is in.",
		append(connectionLabels, "state"),
		nil,
	)
	descStates = prometheus.NewDesc("zoho_connections", "Connections by state.", []string{"client", "state"}, nil)
)

// connectionStates are the values of the label state.
var connectionStates = []string{
	tokencache.StateOK,
	tokencache.StateDegraded,
	tokencache.StateContended,
	tokencache.StateDead,
}

// Describe names the series.
func (c Connections) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{descExpiry, descGeneration, descBudget, descIssued, descState, descStates} {
		descs <- desc
	}
}

// Collect reads the connections as they are now.
func (c Connections) Collect(out chan<- prometheus.Metric) {
	for name, statuses := range c {
		counts, all := make(map[string]int), 0
		for s := range statuses {
			counts[s.State]++
			all++
		}
		room := maxAccountSeries
		for s := range statuses {
			if all > maxAccountSeries && !inTrouble(s) {
				continue
			}
			if room--; room < 0 {
				break
			}
			collectConnection(out, s)
		}
		for _, state := range connectionStates {
			out <- prometheus.MustNewConstMetric(descStates, prometheus.GaugeValue, float64(counts[state]), name, state)
		}
	}
}

// inTrouble reports whether an alert fires for a connection.
func inTrouble(s tokencache.Status) bool {
	return s.State != tokencache.StateOK || s.BudgetLeft <= lowBudget
}

func collectConnection(out chan<- prometheus.Metric, s tokencache.Status) {
	gauge := func(desc *prometheus.Desc, value float64, more ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{s.Client, s.Account}, more...)...)
	}
	if s.HasToken {
		gauge(descExpiry, float64(s.Expiry.Unix()))
	}
	gauge(descGeneration, float64(s.Generation))
	gauge(descBudget, float64(s.BudgetLeft))
	gauge(descIssued, float64(s.RefreshTokens))
	for _, state := range connectionStates {
		value := 0.0
		if s.State == state {
			value = 1
		}
		gauge(descState, value, state)
	}
}
