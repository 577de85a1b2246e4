// Package caddyzoho lets any application use Zoho's APIs without knowing OAuth:
// a request that reaches `zoho_proxy` leaves with a live access token attached.
//
// The way of a request reads like the listing. handler.go admits the caller and asks
// for a token, in the order of its method open; session.go is what one request knows of
// itself; route.go finds the server that it is for, and tells reverse_proxy, which
// streams; transport.go attaches the token and sends; response.go judges what came
// back, and has the token renewed if it was refused. tokencall.go answers apps that
// insist on fetching tokens, health.go and connect.go are directives of their own.
//
// module.go holds the configuration and wires what it needs together; state.go is what
// outlives a reload. Caddyfiles are parsed in caddyfile*.go; admin.go and command.go
// only register what internal/admin and internal/cli do.
package caddyzoho

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/audit"
	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/doctor"
	"github.com/caddy-zoho/caddy-zoho/internal/fault"
	"github.com/caddy-zoho/caddy-zoho/internal/notify"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/internal/sealing"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/sites"
	"github.com/caddy-zoho/caddy-zoho/internal/stores"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func init() {
	caddy.RegisterModule(App{})
	// Linux hands a signal to the thread that the process began with. Were it stuck at a disk that
	// hangs, nothing would end the process but SIGKILL. This keeps it for the main goroutine, which
	// only waits once Caddy runs.
	runtime.LockOSThread()
}

// App is the Caddy app `zoho`: OAuth clients, and the store of their grants and
// access tokens.
type App struct {
	// Where grants, access tokens and the ledger of token requests are kept.
	// Default: embedded, in the folder `zoho` of Caddy's data directory.
	Store *Store `json:"store,omitempty"`

	// Secrets that wrap the keys which seal what is stored; any one of them opens
	// it. Without one the secrets of each client do it, and the key in MasterKeyFile.
	EncryptionKey []secret.Ref `json:"encryption_key,omitempty"`

	// File of a random key that opens what is stored as well, so that a client secret
	// can be made anew; made with mode 0600 if it is missing. Not used with
	// `encryption_key`. Default: `zoho-master.key` in Caddy's data directory.
	MasterKeyFile string `json:"master_key_file,omitempty"`

	// Bounds all request bodies together that are kept to be sent again.
	ReplayBufferTotal *body.Totals `json:"replay_buffer_total,omitempty"`

	// Where a JSON object is POSTed when a connection becomes `dead` or `contended`, has
	// `recovered`, or was `connected`. Placeholders are allowed, and advisable where the
	// address itself is a secret.
	Notify string `json:"notify,omitempty"`

	// Services that the table lacks, by name.
	CustomServices map[string]*zoho.CustomService `json:"custom_services,omitempty"`

	// OAuth clients by name. With one client its name may be left out elsewhere.
	Clients map[string]*client.Config `json:"clients,omitempty"`

	ctx     caddy.Context
	logger  *zap.Logger
	audit   *audit.Log
	state   *state
	sealing *sealing.Sealing
	clients map[string]*client.Client
	catalog *zoho.Catalog
	moved   *sync.Map // what doctor has found out of configured refresh tokens
	release func()    // takes back what Start gave to the shared state
	cleanup func()
}

// Store says where grants and tokens are kept.
type Store struct {
	// Directory of the embedded store; created with mode 0700 if it is missing.
	Bolt string `json:"bolt,omitempty"`

	// Redis that several Caddys share, in its place. Needs `encryption_key`.
	Redis *stores.Redis `json:"redis,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "zoho",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision checks the configuration. It opens nothing, so that `caddy validate`
// works beside a running server.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger, a.moved = ctx, ctx.Logger(), new(sync.Map)
	a.audit = audit.New(a.logger)
	if len(a.Clients) == 0 {
		return errors.New("zoho: no client is configured: add `client NAME { … }` to the global option `zoho`")
	}
	if err := a.checkStore(); err != nil {
		return err
	}
	var err error
	if a.catalog, err = zoho.NewCatalog(a.CustomServices); err != nil {
		return fmt.Errorf("zoho: %w", err)
	}
	if err := a.attach(ctx); err != nil {
		return err
	}
	return errors.Join(a.checkKeys(), a.checkNotify(), a.checkTotals(), a.makeClients())
}

// checkKeys looks at what seals the store.
func (a *App) checkKeys() error {
	var errs []error
	client.WarnOfSecretFiles(a.logger, a.EncryptionKey...)
	for _, key := range a.EncryptionKey {
		value, err := key.Resolve()
		if err != nil {
			errs = append(errs, fmt.Errorf("zoho: encryption_key: %w", err))
			continue
		}
		if secret.HasQuotes(value) {
			a.logger.Warn(secret.QuotesWarning, zap.String("encryption_key", key.String()))
		}
		if secret.Guessable(value) {
			a.logger.Warn(secret.GuessableWarning, zap.String("encryption_key", key.String()))
		}
	}
	switch {
	case !a.sealing.ByMasterKey() && a.MasterKeyFile != "":
		a.logger.Warn("master_key_file is not used: encryption_key seals what is stored")
	case a.sealing.ByMasterKey():
		if err := a.sealing.Misplaced(); err != nil {
			a.logger.Warn(sealing.WithoutMasterKey, zap.Error(err))
		}
		client.WarnOfSecretFiles(a.logger, a.sealing.MasterKeyRef())
	}
	return errors.Join(errs...)
}

func (a *App) checkNotify() error {
	if err := notify.URL(a.Notify).Check(); err != nil {
		return fmt.Errorf("zoho: notify: %w", err)
	}
	return nil
}

func (a *App) checkTotals() error {
	if err := a.ReplayBufferTotal.Check(); err != nil {
		return fmt.Errorf("zoho: replay_buffer_total: %w", err)
	}
	return nil
}

// makeClients makes the clients that run of those that are configured.
func (a *App) makeClients() error {
	shared := &client.Shared{Logger: a.logger, Running: a.state.logger, Cache: a.state.cache, Store: a.state.store,
		Sealing: a.sealing, Asked: a.state.asked, All: a.allClients}
	a.clients = make(map[string]*client.Client)
	var errs []error
	for _, name := range a.clientNames() {
		config := a.Clients[name]
		if config == nil {
			errs = append(errs, fmt.Errorf("zoho: client %q has no configuration", name))
			continue
		}
		client, err := client.New(config, name, shared)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		a.clients[name] = client
	}
	return errors.Join(errs...)
}

// allClients are the clients by name.
func (a *App) allClients() []*client.Client {
	var all []*client.Client
	for _, name := range a.clientNames() {
		all = append(all, a.clients[name])
	}
	return all
}

// statuses are those of all connections, by client.
func (a *App) statuses(yield func(client string, statuses iter.Seq[tokencache.Status]) bool) {
	for _, name := range a.clientNames() {
		if !yield(name, a.state.cache.Overview(a.clients[name].Cache)) {
			return
		}
	}
}

// emitter tells Caddy's events app, which servers bring along; nil without it.
func (a *App) emitter() func(name string, data map[string]any) {
	app, err := a.ctx.AppIfConfigured("events")
	if err != nil {
		return nil
	}
	return func(name string, data map[string]any) { app.(*caddyevents.App).Emit(a.ctx, name, data) }
}

// attach joins the state that reloads share.
func (a *App) attach(ctx caddy.Context) error {
	dir, err := a.storeDirectory()
	if err != nil {
		return err
	}
	masterKey, err := filepath.Abs(cmp.Or(a.MasterKeyFile, filepath.Join(caddy.AppDataDir(), "zoho-master.key")))
	if err != nil {
		return fmt.Errorf("zoho: master_key_file %s: %w", a.MasterKeyFile, err)
	}
	a.sealing = sealing.New(a.EncryptionKey, resolved(masterKey), dir)
	source := a.source(dir)
	if err := source.Check(); err != nil {
		return fmt.Errorf("zoho: store redis: %w", err)
	}
	a.state, err = attachState(source, ctx, a.statuses)
	if a.state == nil {
		return err
	}
	a.cleanup = sync.OnceFunc(func() { detachState(source.Name()) })
	return err
}

// source is where the store of this configuration is.
func (a *App) source(dir string) stores.Source {
	if a.Store != nil && a.Store.Redis != nil {
		return stores.Source{Redis: a.Store.Redis}
	}
	return stores.Source{Directory: dir}
}

// checkStore looks at what goes together.
func (a *App) checkStore() error {
	switch {
	case a.Store == nil || a.Store.Redis == nil:
		return nil
	case a.Store.Bolt != "":
		return errors.New("zoho: store is given twice, as bolt and as redis: remove one of them")
	case len(a.EncryptionKey) == 0:
		return fmt.Errorf("zoho: %w", errNoEncryptionKey)
	}
	return nil
}

// errNoEncryptionKey says what store redis needs besides.
var errNoEncryptionKey = errors.New("store redis needs encryption_key, a key that each Caddy has and Redis does not: " +
	"add to the global option zoho: encryption_key {env.ZOHO_ENCRYPTION_KEY}")

func (a *App) storeDirectory() (string, error) {
	dir := filepath.Join(caddy.AppDataDir(), "zoho")
	if a.Store != nil && a.Store.Bolt != "" {
		dir = a.Store.Bolt
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("zoho: store %s: %w", dir, err)
	}
	return resolved(abs), nil
}

// resolved follows symbolic links as far as the path exists: two spellings of one
// directory must not become two stores in one process, whether it exists yet or not.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent, name := filepath.Split(filepath.Clean(path))
	if parent == "" || parent == path {
		return path
	}
	return filepath.Join(resolved(filepath.Clean(parent)), name)
}

// Start opens the store and hands the timers this configuration.
func (a *App) Start() error {
	if err := a.state.store.Open(); err != nil {
		return fmt.Errorf("zoho: %w", err)
	}
	a.release = a.state.use(a.runningConfig(), func(name string) *tokencache.Client {
		if client, ok := a.clients[name]; ok {
			return client.Cache
		}
		return nil
	})
	go fault.Guard(a.logger, a.warm)
	for _, c := range a.state.store.Concerns() {
		a.logger.Warn(c.What, zap.String("why", c.Why), zap.String("do", c.Do))
	}
	if err := a.state.store.Check(); err != nil {
		a.logger.Error(unusable(err), zap.Error(err))
	} else {
		if err := a.seal(); err != nil {
			a.logger.Warn("the store is not sealed as it should be", zap.Error(err))
		}
		a.lookAtStoreBefore()
		a.lookForGrants() // with a store that is lost nobody knows, and a consent would not be the remedy
	}
	a.lookAtGrants()
	for _, name := range a.clientNames() {
		a.state.metrics.Begin(name, problem.CodeInternal)
		if s := a.clients[name].Simulator; s != nil {
			a.logger.Warn("a simulator stands in for Zoho: nothing reaches the real one",
				zap.String("client", name), zap.String("address", s.Address))
		}
	}
	a.startSites()
	a.logger.Info("serving Zoho connections",
		zap.Strings("clients", a.clientNames()), zap.String("store", a.state.store.Name()))
	return nil
}

// unusable says whom it concerns that something is wrong with the store.
func unusable(err error) string {
	var e *tokencache.StoreError
	if errors.As(err, &e) && e.Partly {
		return "the store is damaged: accounts with a damaged grant or key are not served"
	}
	return "the store cannot be used: accounts without a live token are not served"
}

// runningConfig is what the shared state goes by while this configuration runs.
func (a *App) runningConfig() *runningConfig {
	return &runningConfig{
		Config: notify.Config{Logger: a.logger, To: notify.URL(a.Notify), Explain: a.explain},
		emit:   a.emitter(),
		totals: a.ReplayBufferTotal,
		audit:  a.audit,
		seal:   a.seal,
		source: a.source(""),

		onboarding: a.onboarding,
	}
}

// onboarding are the clients as onboarding needs to know them.
func (a *App) onboarding() (all []*onboard.Client) {
	for _, c := range a.allClients() {
		all = append(all, c.Onboard())
	}
	return all
}

// seal has each data key wrapped by all that shall open it.
func (a *App) seal() error {
	return a.sealing.Apply(a.state.store, a.sealingSecrets, a.logger)
}

// sealingSecrets are what shall open what is stored, by client.
func (a *App) sealingSecrets() map[string][][]byte {
	secrets := make(map[string][][]byte)
	for name, client := range a.clients {
		secrets[name] = client.SealingSecrets()
	}
	return secrets
}

// walkSites goes down all servers of this configuration.
func (a *App) walkSites() []*sites.Walk {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	return sites.WalkServers(a.ctx, app.(*caddyhttp.App).Servers)
}

// startSites tells the pages where they are, and the log what doctor would find.
func (a *App) startSites() {
	walks := a.walkSites()
	for _, walk := range walks {
		walk.Tell()
	}
	found := sites.Examine(walks)
	for _, f := range found {
		if f.Result == adminapi.ResultWarning {
			a.logger.Warn(f.Line())
		}
	}
}

// subject is what doctor examines.
func (a *App) subject() *doctor.Subject {
	return &doctor.Subject{
		Clients: a.allClients(),
		Sites:   a.walkSites(),
		Store:   a.state.store,
		Sealing: a.sealing,
		Secrets: a.sealingSecrets,
		Notify:  notify.URL(a.Notify),
		Notices: a.state.notices,
		Unknown: &a.state.unknown,
		Moved:   a.moved,
		Catalog: a.catalog,
	}
}

// lookForGrants tells of clients that nobody has connected yet.
func (a *App) lookForGrants() {
	for _, name := range a.clientNames() {
		c := a.clients[name]
		if len(a.state.store.Accounts(name)) == 0 && len(c.AccountNames()) == 0 {
			a.logger.Warn(
				"no account is connected: `"+c.ConnectCommand("")+"` connects one",
				zap.String("client", name),
			)
		}
	}
}

// lookAtStoreBefore tells of accounts that a reload to another store leaves behind.
func (a *App) lookAtStoreBefore() {
	for _, before := range a.state.others() {
		var left []string
		for _, name := range a.clientNames() {
			for _, account := range before.store.Accounts(name) {
				key := tokencache.Key{Client: name, Account: account}
				if !a.state.store.HasGrant(key) && !slices.Contains(a.clients[name].AccountNames(), account) {
					left = append(left, key.String())
				}
			}
		}
		if len(left) > 0 {
			a.logger.Warn("this configuration has a different store than the previous one, and lacks accounts that are connected there",
				zap.Int("accounts", len(left)), zap.Strings("first", left[:min(len(left), 5)]),
				zap.String("before", before.store.Name()), zap.String("store", a.state.store.Name()),
				zap.String("do", "restore the previous `store` line, or move the accounts: run `caddy zoho backup` "+
					"with the previous one, then `caddy zoho restore` with this one"))
		}
	}
}

// lookAtGrants tells of clients whose stored grants cannot be read, as with another key. One
// grant of each is tried.
func (a *App) lookAtGrants() {
	for _, name := range a.clientNames() {
		c := a.clients[name]
		stored := a.state.store.Accounts(name)
		if len(stored) == 0 {
			continue
		}
		key := tokencache.Key{Client: name, Account: stored[0]}
		if _, _, err := a.state.store.LoadGrant(key, c.Cache.Secrets()); err != nil {
			a.logger.Error(
				"a stored grant cannot be read: its account is not served unless the configuration has a grant for it",
				zap.String("client", name),
				zap.String("account", key.Account),
				zap.Error(err),
			)
		}
	}
}

// explain says of a cause what concerns a connection.
func (a *App) explain(why cause.Cause, key tokencache.Key) cause.Explanation {
	client, ok := a.clients[key.Client]
	if !ok {
		return explainUnknown(why, key) // gone with a reload
	}
	return client.Explain(why, key.Account)
}

// explainUnknown is explain for a client that is not configured.
func explainUnknown(why cause.Cause, key tokencache.Key) cause.Explanation {
	return cause.Of(why, cause.Facts{Client: key.Client, Account: key.Account})
}

// warm goes on with the connections that the run before kept warm, and those of a client
// that is back; a reload leaves the timers of others alone. Then it looks at all of them, so
// that no health check has to.
func (a *App) warm() {
	for _, name := range a.clientNames() {
		a.state.cache.Warm(a.clients[name].Cache)
	}
	for range a.statuses {
	}
}

// Stop takes this configuration away from the timers.
func (a *App) Stop() error {
	a.release()
	return nil
}

// Cleanup leaves the shared state; the last one out closes the store.
func (a *App) Cleanup() error {
	if a.cleanup != nil {
		a.cleanup()
	}
	return nil
}

func (a *App) clientNames() []string {
	return slices.Sorted(maps.Keys(a.Clients))
}

// client finds a client by name; with a single one the name may be empty.
func (a *App) client(name string) (*client.Client, error) {
	if client, ok := a.clients[name]; ok {
		return client, nil
	}
	names := a.clientNames()
	if name != "" {
		return nil, fmt.Errorf(
			"zoho: there is no client %q%s; configured: %s",
			name,
			words.DidYouMean(name, names),
			strings.Join(names, ", "),
		)
	}
	if len(names) != 1 {
		return nil, fmt.Errorf(
			"zoho: several clients are configured; name one of them: %s",
			strings.Join(names, ", "),
		)
	}
	return a.clients[names[0]], nil
}

// configuredApp is the app of the configuration that ctx belongs to.
func configuredApp(ctx caddy.Context) (*App, error) {
	app, err := ctx.AppIfConfigured("zoho")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, errors.New("zoho: there is no app `zoho`: add the global option `zoho { client … }`")
	}
	if err != nil {
		return nil, err
	}
	return app.(*App), nil
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
