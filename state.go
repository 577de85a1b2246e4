package caddyzoho

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-zoho/caddy-zoho/internal/apikeys"
	"github.com/caddy-zoho/caddy-zoho/internal/audit"
	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/fault"
	"github.com/caddy-zoho/caddy-zoho/internal/metrics"
	"github.com/caddy-zoho/caddy-zoho/internal/notify"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/stores"
	"github.com/caddy-zoho/caddy-zoho/internal/unrecognized"
	"github.com/caddy-zoho/caddy-zoho/internal/usage"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// state is what outlives a reload: the store, the tokens with their flights and
// timers, the consents that are under way, and the metrics. It holds no configuration;
// the app passes its clients along with each call.
type state struct {
	store   stores.Store
	cache   *tokencache.Cache
	flow    *onboard.Flow
	metrics *metrics.Metrics
	notices *notify.Notifier
	events  notify.Queue
	unknown unrecognized.Refusals
	usage   usage.Usage
	keys    *apikeys.Store
	tries   apikeys.Tries
	room    *body.Room
	asked   *rate.Limiter                 // see client.Shared
	config  atomic.Pointer[runningConfig] // the one that runs

	mu      sync.Mutex
	running []*runningConfig // that were started and not stopped
}

// runningConfig is what of a configuration the state goes by.
type runningConfig struct {
	notify.Config
	emit   func(name string, data map[string]any) // tells Caddy's events app, nil without it
	totals *body.Totals
	audit  *audit.Log
	source stores.Source
	// seal has what was stored just now opened by all that shall open it.
	seal func() error
	// onboarding are the clients, as that needs to know them.
	onboarding func() []*onboard.Client
}

// states is keyed by the name of the store alone: with anything else in the key a
// changed option would open the same file twice in one process.
var states = caddy.NewUsagePool()

// attachState joins the state of a store, and makes it if nobody has yet. With an
// error of the metrics the state is joined all the same: detachState has to follow.
func attachState(source stores.Source, ctx caddy.Context, connections metrics.Connections) (*state, error) {
	value, _, err := states.LoadOrNew(source.Name(), func() (caddy.Destructor, error) {
		return newState(source), nil
	})
	if err != nil {
		return nil, err
	}
	s := value.(*state)
	if registry := ctx.GetMetricsRegistry(); registry != nil {
		err = s.metrics.Register(registry, connections)
	}
	return s, err
}

func detachState(name string) {
	// The error of Destruct has nowhere to go but the log, which Destruct writes itself.
	_, _ = states.Delete(name)
}

func newState(source stores.Source) *state {
	s := &state{
		room:  body.NewRoom(),
		asked: rate.NewLimiter(rate.Every(10*time.Second), 60),
	}
	s.metrics = metrics.New(s.room.Taken)
	s.keys = apikeys.NewStore(s.keysChanged)
	s.config.Store(&runningConfig{
		Config: notify.Config{Logger: zap.NewNop(), Explain: explainUnknown},
		source: source,
		seal:   func() error { return nil },

		onboarding: func() []*onboard.Client { return nil },
	})
	s.store = source.Store(func() (stores.Access, error) { return s.config.Load().source.Access() })
	s.notices = notify.New(func() *notify.Config { return &s.config.Load().Config }, s.store)
	s.cache = tokencache.New(tokencache.Options{Store: s.store, Observe: s.observe})
	s.flow = onboard.New(s.cache, s.store, onboard.Hooks{
		Connected: s.connected,
		Widened:   s.widened,
		Gone:      s.gone,
		Restored:  s.restored,
		Guard:     func(f func()) { fault.Guard(s.logger(), f) },
		Clients:   func() []*onboard.Client { return s.config.Load().onboarding() },
	})
	return s
}

// Destruct ends timers and flights, and closes the store.
func (s *state) Destruct() error {
	s.flow.Close()
	err := s.cache.Close()
	s.notices.Close()
	s.room.Close()
	err = errors.Join(err, s.store.Close())
	if err != nil {
		s.logger().Error("closing the store", zap.Error(err))
	}
	return err
}

// use makes a started configuration the one that timers ask and that is logged to.
// If its load fails after all, release gives both back to the one before, whose log
// is still open.
func (s *state) use(config *runningConfig, clients func(name string) *tokencache.Client) (release func()) {
	forget := s.cache.Use(clients)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = append(s.running, config)
	s.activateLast()
	return func() {
		forget()
		s.mu.Lock()
		defer s.mu.Unlock()
		if i := slices.Index(s.running, config); i >= 0 {
			s.running = slices.Delete(s.running, i, i+1)
		}
		s.activateLast()
	}
}

// activateLast makes the configuration that was started last the one that runs. With mu held.
func (s *state) activateLast() {
	if last := len(s.running) - 1; last >= 0 {
		s.config.Store(s.running[last])
		s.room.Limit(s.running[last].totals)
	}
}

// others are the states of other stores that a configuration of this process runs with.
func (s *state) others() (all []*state) {
	states.Range(func(_, value any) bool {
		if other := value.(*state); other != s && other.runs() {
			all = append(all, other)
		}
		return true
	})
	return all
}

func (s *state) runs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running) > 0
}

func (s *state) logger() *zap.Logger { return s.config.Load().Logger }

// event has Caddy's events app told.
func (s *state) event(name string, key tokencache.Key, more map[string]any) {
	config := s.config.Load()
	if config.emit == nil {
		return
	}
	data := map[string]any{"client": key.Client, "account": key.Account}
	maps.Copy(data, more)
	s.events.Add(
		config.Logger,
		"an event was dropped: too many are waiting, because a handler of Caddy's `events` is too slow",
		func() { config.emit(name, data) },
	)
}

// gone tells of an account that there is no more.
func (s *state) gone(key tokencache.Key) {
	s.forget(key)
	s.audited("gone", key.Client, key.Account)
}

// forget forgets what is told of an account.
func (s *state) forget(key tokencache.Key) {
	s.metrics.Forget(key)
	s.unknown.Forget(key)
	s.usage.Forget(key)
}

// keysChanged tells of files of keys that were read anew.
func (s *state) keysChanged(c apikeys.Change) {
	if c.Err != nil {
		s.logger().Error("the files of api_keys cannot be reloaded", zap.Error(c.Err))
	}
	for _, change := range []struct {
		action string
		names  []string
	}{{"api-key added", c.Added}, {"api-key changed", c.Changed}, {"api-key removed", c.Removed}} {
		if len(change.names) > 0 {
			s.logger().Info("the files of api_keys have changed", zap.String("action", change.action),
				zap.Strings("callers", change.names))
			s.config.Load().audit.Act(audit.Act{Action: change.action, By: "file", Names: change.names})
		}
	}
}

// audited has the audit tell what became of an account, whoever has asked for it.
func (s *state) audited(what, client, account string) {
	s.config.Load().audit.Act(audit.Act{Action: what, Client: client, Account: account})
}

// connected tells of a grant that came in.
func (s *state) connected(r onboard.Result) {
	s.logger().Info("connected", zap.String("client", r.Client), zap.String("account", r.Account),
		zap.String("data_center", r.DataCenter), zap.Strings("scopes", r.Scopes), zap.Bool("replaced", r.Replaced))
	s.notices.Connected(r)
	s.audited("connected", r.Client, r.Account)
	_ = s.config.Load().seal() // what is wrong was told at the start, and is by doctor
}

// widened tells of scopes that were added to a grant.
func (s *state) widened(r onboard.Result) {
	s.logger().Info("scopes added", zap.String("client", r.Client), zap.String("account", r.Account),
		zap.String("data_center", r.DataCenter), zap.Strings("added", r.Added), zap.Strings("scopes", r.Scopes))
	s.audited("scopes added", r.Client, r.Account)
}

// restored tells of grants that a backup has brought.
func (s *state) restored(client string, accounts []string) {
	s.logger().Info("restored from a backup", zap.String("client", client), zap.Int("accounts", len(accounts)))
	s.config.Load().audit.Act(audit.Act{Action: "restored", Client: client, Names: accounts})
	_ = s.config.Load().seal() // what is wrong was told at the start, and is by doctor
}

// observe turns what happens to tokens into metrics and log lines.
func (s *state) observe(e tokencache.Event) {
	s.metrics.Observe(e)
	s.notices.Observe(e)
	logger := s.logger()
	connection := []zap.Field{zap.String("client", e.Key.Client), zap.String("account", e.Key.Account)}
	switch e.Type {
	case tokencache.EventTokenRequest, tokencache.EventInstalled:
		s.requested(e, connection)
	case tokencache.EventState:
		logger.Warn("connection state changed", append(connection, zap.String("state", e.State))...)
		if e.State == tokencache.StateDead {
			s.event("zoho_grant_dead", e.Key, nil)
		}
	case tokencache.EventLostEarly:
		logger.Warn(
			"access token lost early: Zoho refused it before it expired and accepted the next one; does another program use this grant?",
			append(connection, zap.Uint64("generation", e.Generation))...)
	case tokencache.EventStoreWarning:
		logger.Warn("store", zap.Error(e.Err))
	case tokencache.EventStoreError:
		logger.Error("store", append(connection, zap.String("operation", e.Operation), zap.Error(e.Err))...)
	case tokencache.EventClockStep:
		logger.Warn("the clock stepped", zap.Duration("step", e.Duration))
	case tokencache.EventAdopted:
		logger.Debug("access token found in the store", append(connection, zap.Uint64("generation", e.Generation))...)
	case tokencache.EventGone:
		s.forget(e.Key)
	}
}

// requested tells of an access token that was asked for.
func (s *state) requested(e tokencache.Event, connection []zap.Field) {
	fields := append(connection, zap.String("cause", e.Cause), zap.String("result", e.Result),
		zap.Uint64("generation", e.Generation), zap.Duration("duration", e.Duration))
	switch {
	case e.Err != nil:
		s.logger().Warn("access token not renewed", append(fields, zap.Error(e.Err))...)
	case e.Generation == 0: // that of a grant which is not the connection's yet: EventInstalled follows if it becomes so
		s.logger().Info("a new grant works: Zoho issued an access token", fields...)
	default:
		s.logger().Info("access token renewed", append(fields, zap.Time("expires", e.Expiry))...)
		s.event(
			"zoho_token_renewed",
			e.Key,
			map[string]any{
				"cause":      e.Cause,
				"generation": e.Generation,
				"expires":    e.Expiry.UTC().Format(time.RFC3339),
			},
		)
	}
}
