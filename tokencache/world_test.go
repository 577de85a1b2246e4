package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// world is a process with its store, the authorization server, and what is true of
// both. Time in a bubble is true time, short of the suspensions, in which the bubble
// stands still.
type world struct {
	*rig
	clocks  *clocks
	process *process
	started int // processes
	zombies []*process
	grant   int                        // in force; that of the accounts default and twin
	consent int                        // number of the latest one
	stored  string                     // refresh token of the account stored, "" = none
	refused map[string]uint64          // by account and resource: newest refused, and not accepted anywhere since
	denied  map[string]uint64          // likewise: refused while no newer one was to be had, in this process
	newest  map[string]uint64          // by account: generation handed out
	setBack bool                       // the wall clock, so that a restart believes too much
	guessed map[string][]time.Duration // by account and grant, in this process: renewals because of unknown refusals
	unsure  map[string]uint64          // by account: generation that came of one and was not accepted
	reloads int
	fair    *fair

	mu        sync.Mutex
	mode      string
	patience  bool // was asked for by a server in trouble
	suspended time.Duration
	made      map[string]*minted   // by value
	counted   map[string][]call    // by refresh token
	forgotten string               // refresh token of storedKey that was last deleted
	throttled map[string]time.Time // by connection and grant: last told to be silent
	broken    error                // the first violation
}

// minted is what is known of a token.
type minted struct {
	refreshToken string
	process      int // in which it was made
	end          time.Time
	wallEnd      time.Time
	monoEnd      time.Duration
}

// call is a token call that the server counted, in true time and as the clock of the
// wall had it when the call was last written.
type call struct {
	at   time.Time
	wall time.Duration // ahead of true time
}

// process is a run. What a dead one does reaches neither the server nor the files
// that the next one reads.
type process struct {
	number  int
	cache   *tokencache.Cache
	store   *boltstore.Store
	dir     string
	release func()          // of Cache.Use
	read    map[string]bool // refresh tokens whose ledger it has read from its files

	mu     sync.Mutex
	dead   bool
	flying map[tokencache.Key]int
}

func (p *process) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

func (w *world) violation(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.broken = fmt.Errorf(format, args...)
	}
}

func (w *world) violated() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

// now is true time.
func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.suspended)
}

// ahead is how far the wall clock is ahead of true time.
func (w *world) ahead() time.Duration { return w.clocks.now().Wall.Sub(w.now()) }

// take off and land watch over the flights of a connection.
func (w *world) takeOff(p *process, key tokencache.Key) (land func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flying[key]++
	if n := p.flying[key]; n > 1 {
		w.violation("%s: %d flights at once", key, n)
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.flying[key]--
	}
}

var kinds = map[string]tokencache.Kind{"down": tokencache.KindTemporary, "retry after": tokencache.KindTemporary, "lost": tokencache.KindTemporary,
	"throttled": tokencache.KindThrottled, "dead": tokencache.KindDead, "rejected": tokencache.KindRejected}

// fetch is the server. A call that plainly gave no token is not counted by Zoho.
func (w *world) fetch(p *process) func(context.Context, tokencache.Key, tokencache.Grant) (tokencache.Fetched, error) {
	return func(ctx context.Context, key tokencache.Key, g tokencache.Grant) (tokencache.Fetched, error) {
		defer w.takeOff(p, key)()
		w.mu.Lock()
		mode := w.mode
		w.mu.Unlock()
		if mode == "late" { // to arrive
			if err := pause(ctx, 5*time.Second); err != nil {
				return tokencache.Fetched{}, &tokencache.FetchError{Kind: tokencache.KindTemporary, NoToken: true, Err: err}
			}
		}
		if p.isDead() {
			return tokencache.Fetched{}, errors.New("a dead process asks nobody")
		}
		w.checkSilence(key.String()+" "+g.RefreshToken, mode)
		w.written(key, g)
		defer w.written(key, g)
		if mode != "down" && mode != "retry after" && mode != "dead" && mode != "rejected" {
			ahead, now := w.ahead(), w.now()
			w.mu.Lock()
			w.counted[g.RefreshToken] = append(w.counted[g.RefreshToken], call{now, ahead})
			w.mu.Unlock()
		}
		if kind, fails := kinds[mode]; fails {
			e := &tokencache.FetchError{Kind: kind, NoToken: mode != "lost", Err: errors.New(mode)}
			if mode == "retry after" {
				e.RetryAfter = time.Hour
				w.mu.Lock()
				w.patience = true
				w.mu.Unlock()
			}
			return tokencache.Fetched{}, e
		}
		switch mode {
		case "panic":
			panic(mode)
		case "slow":
			if err := pause(ctx, 5*time.Second); err != nil {
				return tokencache.Fetched{}, err
			}
		case "stuck":
			<-ctx.Done()
			return tokencache.Fetched{}, ctx.Err()
		}
		return w.mint(p, g, mode), nil
	}
}

// checkSilence sees to it that who was throttled asks nothing for half a minute.
func (w *world) checkSilence(who, mode string) {
	now := w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.throttled[who]; ok && now.Sub(at) < 30*time.Second && w.broken == nil {
		w.broken = fmt.Errorf("%s: asks %s after a throttle", who, now.Sub(at))
	}
	if mode == "throttled" {
		w.throttled[who] = now
	}
}

// checkLedger sees to it that the process knows of each call that the server counted.
func (w *world) checkLedger(o operation) {
	synctest.Wait()
	now := w.now()
	for _, s := range w.cache.Status(w.client) {
		calls := 0
		w.mu.Lock()
		for _, c := range w.counted[w.inForce(s.Account)] {
			if now.Sub(c.at) < 10*time.Minute {
				calls++
			}
		}
		w.mu.Unlock()
		if s.BudgetLeft > max(0, 10-calls) {
			w.violation("after %s: %s may still make %d calls, and has made %d", o, s.Account, s.BudgetLeft, calls)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// mint makes a token of an hour, whatever is said of it, or one that is short.
func (w *world) mint(p *process, g tokencache.Grant, mode string) tokencache.Fetched {
	life, said := time.Hour, time.Hour
	switch mode {
	case "short":
		life, said = 20*time.Second, 20*time.Second
	case "negative":
		said = -time.Hour
	case "absurd":
		said = 1 << 62
	}
	now, clock := w.now(), w.clocks.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	value := fmt.Sprintf("token %d of %s", len(w.made)+1, g.RefreshToken)
	w.made[value] = &minted{refreshToken: g.RefreshToken, process: p.number,
		end: now.Add(life), wallEnd: clock.Wall.Add(life), monoEnd: clock.Mono + life}
	return tokencache.Fetched{AccessToken: value, Life: said}
}

func (w *world) lookUp(value string) (minted, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, ok := w.made[value]
	if !ok {
		return minted{}, false
	}
	return *m, true
}

// ended reports whether a token is known to have ended: by any clock that can know.
func (w *world) ended(m minted) bool {
	clock := w.clocks.now()
	return !clock.Wall.Before(m.wallEnd) || m.process == w.process.number && clock.Mono >= m.monoEnd ||
		!w.setBack && !w.now().Before(m.end)
}

// lives reports whether a token is certain to live for a while, by every clock.
func (w *world) lives(m minted) bool {
	const margin = 5 * time.Second
	clock := w.clocks.now()
	return clock.Wall.Before(m.wallEnd.Add(-margin)) && clock.Mono < m.monoEnd-margin && w.now().Before(m.end.Add(-margin)) &&
		clock.Wall.After(m.wallEnd.Add(-time.Hour-time.Minute))
}

// begin starts a process on the files in dir.
func (w *world) begin(dir string) {
	w.started++
	p := &process{
		number: w.started, dir: dir, store: boltstore.New(dir), release: func() {},
		read: make(map[string]bool), flying: make(map[tokencache.Key]int),
	}
	if err := p.store.Open(); err != nil {
		w.violation("start: %v", err)
	}
	opts := w.opts
	opts.Store = p.store
	p.cache = tokencache.New(opts)
	w.process, w.cache = p, p.cache
	w.fair.restart()
	clear(w.guessed)
	clear(w.unsure)
	clear(w.denied)
	w.forgive()
	w.reload()
}

// forgive takes out of what is counted the calls that a clock which was set ahead
// makes look old to a process which reads of them only then: nobody can know.
func (w *world) forgive() {
	ahead := w.ahead()
	w.mu.Lock()
	defer w.mu.Unlock()
	for grant, calls := range w.counted {
		for i, c := range calls {
			if d := ahead - c.wall; d > 0 && !w.process.read[grant] {
				calls[i] = call{c.at.Add(-d), ahead}
			}
		}
	}
}

// connect brings a grant for the account stored, which proves itself before that.
func (w *world) connect(o operation) {
	w.consent++
	g := tokencache.Grant{RefreshToken: fmt.Sprint("consent ", w.consent), AccountsServer: "https://accounts.example"}
	if o.Callers%4 == 0 { // imported, and in use elsewhere
		g.RefreshToken = w.inForce("other")
	}
	w.mu.Lock()
	delete(w.throttled, proofKey.String()+" "+g.RefreshToken) // a person may ask again
	w.mu.Unlock()
	proof, err := w.cache.Verify(w.client, proofKey, g)
	w.process.read[g.RefreshToken] = true
	if err != nil {
		return
	}
	if err := w.cache.Replace(w.client, storedKey, g, proof); err != nil {
		w.violation("%s: %v", o, err)
	}
	w.mu.Lock()
	w.forgotten = ""
	w.mu.Unlock()
	w.stored = g.RefreshToken
	w.fair.otherGrant(storedKey.Account)
}

var storedKey, proofKey = tokencache.Key{Client: "main", Account: "stored"}, tokencache.Key{Client: "main", Account: "proof"}

// takeOffStored has a token asked for with the stored grant, whose answer takes its time.
func (w *world) takeOffStored() {
	n, err := w.cache.Conn(w.client, storedKey.Account)
	if err != nil {
		return
	}
	w.mu.Lock()
	mode := w.mode
	w.mode = "slow"
	w.mu.Unlock()
	go func(cl *tokencache.Client) { _, _ = n.Refresh(context.Background(), cl) }(w.client)
	synctest.Wait()
	w.mu.Lock()
	w.mode = mode
	w.mu.Unlock()
}

func (w *world) forget(o operation) {
	if err := w.process.store.DeleteGrant(storedKey); err != nil {
		w.violation("%s: %v", o, err)
	}
	w.cache.GrantChanged(storedKey)
	w.mu.Lock()
	w.forgotten = w.stored
	w.mu.Unlock()
	w.stored = ""
	w.fair.otherGrant(storedKey.Account)
}

// checkStored sees to it that no token outlives its grant in the files. One that nobody has
// asked for since may be there until then.
func (w *world) checkStored(o operation) {
	rec, _, err := w.process.store.Load(storedKey, w.client.Secrets())
	if err != nil {
		w.violation("after %s: %v", o, err)
	}
	if m, ok := w.lookUp(rec.Token); ok && w.stored == "" {
		w.violation("after %s: a token of %s is stored, which is forgotten", o, m.refreshToken)
	}
}

// written notes that the ledger of a grant is about to be written, with all of its calls as
// the wall clock has them now. A flight whose grant was forgotten meanwhile may have nothing to
// write any more.
func (w *world) written(key tokencache.Key, g tokencache.Grant) {
	ahead := w.ahead()
	w.mu.Lock()
	defer w.mu.Unlock()
	if key == storedKey && w.forgotten == g.RefreshToken {
		return
	}
	for i := range w.counted[g.RefreshToken] {
		w.counted[g.RefreshToken][i].wall = ahead
	}
}

// reload puts another configuration in force, and the old one out of it. What seals the
// store stays readable. In every second one calls wait for the next try.
func (w *world) reload() {
	cl := w.newClient()
	if w.reloads++; w.reloads%2 == 0 {
		cl.TokenWait = 2 * time.Second
	}
	cl.Credentials = w.secret.get
	cl.Secrets = func() [][]byte { return append(w.secret.get(), []byte("the first secret")) }
	cl.Fetch, cl.KeepWarm = w.fetch(w.process), time.Hour
	release := w.process.cache.Use(func(string) *tokencache.Client { return cl })
	w.process.release()
	w.process.release, w.client = release, cl
}

// restart ends the process as SIGTERM does.
func (w *world) restart() {
	w.process.release()
	_ = w.process.cache.Close()
	_ = w.process.store.Close()
	w.begin(w.process.dir)
}

// crash ends the process as SIGKILL does, at this instant: the next one finds the
// files as they are now.
func (w *world) crash(dir string) {
	synctest.Wait() // nobody is in the middle of a write
	w.process.die()
	clear(w.throttled) // it may not have been written yet
	w.zombies = append(w.zombies, w.process)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.violation("crash: %v", err)
	}
	for _, name := range []string{"tokens.db", "grants.db", "grants.db.before"} {
		content, err := os.ReadFile(filepath.Join(w.process.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			w.violation("crash: %v", err)
		}
	}
	w.begin(dir)
}

// close ends everything.
func (w *world) close() {
	for _, p := range append(w.zombies, w.process) {
		p.release()
		_ = p.cache.Close()
		_ = p.store.Close()
	}
}

// newGrant is what a rotated refresh token is for the accounts that have it.
func (w *world) newGrant() {
	w.grant++
	for _, account := range []string{"default", "twin"} {
		w.grants.set(account, fmt.Sprint("grant ", w.grant))
		w.fair.otherGrant(account)
	}
	w.reload()
}

// checkBudget looks at what the server counted.
func (w *world) checkBudget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for grant, calls := range w.counted {
		for i := 10; i < len(calls); i++ {
			if d := calls[i].at.Sub(calls[i-10].at); d < 10*time.Minute && w.broken == nil {
				w.broken = fmt.Errorf("%s: eleven calls within %s", grant, d)
			}
		}
	}
}

// live is a whole history. Its violation is returned, since rapid panics in a bubble.
func live(t *testing.T, history []operation) error {
	dir := t.TempDir()
	w := &world{mode: "ok", made: make(map[string]*minted), counted: make(map[string][]call), throttled: make(map[string]time.Time),
		refused: make(map[string]uint64), denied: make(map[string]uint64), newest: make(map[string]uint64),
		guessed: make(map[string][]time.Duration), unsure: make(map[string]uint64), fair: newFair()}
	synctest.Test(t, func(t *testing.T) {
		w.clocks = &clocks{start: time.Now()}
		w.rig = newRig(t, func(o *tokencache.Options) { o.Rand, o.Clock = nil, w.clocks.now })
		w.grants.set("other", "other grant")
		w.begin(filepath.Join(dir, "0"))
		w.newGrant()
		for i, o := range history {
			w.do(o, filepath.Join(dir, fmt.Sprint(i+1)))
			w.checkLedger(o)
			w.checkStored(o)
			if w.violated() != nil {
				break
			}
		}
		if w.violated() == nil {
			w.recover()
		}
		w.close()
	})
	w.checkBudget()
	return w.violated()
}

func lines(history []operation) string {
	var b strings.Builder
	for _, o := range history {
		fmt.Fprintf(&b, "%#v,\n", o)
	}
	return b.String()
}
