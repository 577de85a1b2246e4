// Package tokencache keeps OAuth access tokens alive, one for each connection
// (an account of a client), for everybody who uses it. It knows no HTTP, no
// Caddy and no particular server: Client.Fetch asks for a token.
//
// What it promises: a token at hand is had without a lock; it is renewed before
// it ends, in the background; one flight serves all who wait, whoever hangs up;
// a restart loses neither the token nor the count of what was asked for; no
// more tokens are asked for than a grant may have in a window, whatever callers,
// reloads and refusals do; a failure replaces nothing, and is waited out by a
// table. Resource turns a refusal into one more token where that can help.
//
// What it does not: it holds no configuration. Each call passes the Client that
// it goes by, and timers ask for the one in force (Cache.Use). It opens no
// store by itself, and starts no goroutine but flights and timers.
package tokencache

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Cache. The zero value works, without a store.
type Options struct {
	Store   Store
	Clock   Clock          // nil = the real one
	Observe func(Event)    // called outside of locks, must not block; nil = nobody listens
	Rand    func() float64 // jitter in [0, 1); nil = math/rand/v2
}

// Cache holds the state of all connections, across configurations.
type Cache struct {
	store   Store
	shared  Shared // store, if it is that of a fleet
	clock   *clock
	observe func(Event)
	rand    func() float64

	mu    sync.RWMutex // guards conns and floor
	conns map[Key]*Conn
	floor uint64 // generations of connections that have gone, see leftovers

	saving    savings
	ledgers   *ledgers
	accounts  accounts // of callers
	looks     bool     // it belongs to Status, and keeps nothing
	beside    *Cache   // of that kind, for connections that are only looked at
	users     userList
	unsaved   unsaved
	leftovers leftovers
	lookup    grantLookup
	solo      soloCalls
	sweeps    atomic.Int64 // that were asked for since the one under way began
	plan      plan
	overviews overviews

	gate    sync.Mutex // guards closed and unwatch, and running against closed
	closed  bool
	unwatch func()         // ends the watch of a shared store, nil = there is none yet
	closing chan struct{}  // is closed then
	running sync.WaitGroup // flights and timers' functions

	clocks   sync.Mutex // guards lastLook
	lastLook moment
}

// New returns an empty cache. It starts nothing and opens nothing.
func New(o Options) *Cache {
	c := &Cache{
		store:   o.Store,
		clock:   newClock(o.Clock),
		observe: o.Observe,
		rand:    o.Rand,
		conns:   make(map[Key]*Conn),
		ledgers: &ledgers{byID: make(map[Fingerprint]*sharedLedger)},
		closing: make(chan struct{}),
	}
	c.shared, _ = o.Store.(Shared)
	c.saving = newSavings(c.shared != nil)
	if c.rand == nil {
		c.rand = rand.Float64
	}
	c.unsaved.cache, c.leftovers.cache = c, c
	c.beside = &Cache{store: c.store, shared: c.shared, clock: c.clock, rand: c.rand, ledgers: c.ledgers, looks: true}
	c.lastLook = c.clock.now()
	return c
}

// Conn returns the state of a connection, which all callers share. An account
// that is neither configured nor connected is an *Error of KindNoGrant, and
// leaves nothing behind.
func (c *Cache) Conn(cl *Client, account string) (*Conn, error) {
	key := Key{Client: cl.Name, Account: account}
	c.mu.RLock()
	n := c.conns[key]
	c.mu.RUnlock()
	if n != nil {
		return n, nil
	}
	n = &Conn{cache: c, key: key}
	if err := n.known(cl); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.conns[key]; other != nil {
		return other, nil
	}
	n.generation = c.floor
	c.conns[key] = n
	return n, nil
}

// known tells why there is no grant to be had. It reads no grant.
func (n *Conn) known(cl *Client) error {
	if cl.Grant != nil {
		_, configured, err := cl.Grant(n.key.Account)
		if err != nil {
			return n.fail(KindStore, storeRetry, err)
		}
		if configured {
			return nil
		}
	}
	if err := n.ungrantable(); err != nil {
		return err
	}
	return nil
}

// GrantChanged tells that a grant was stored or deleted: whoever comes next
// looks at it again. A configured grant that changes is noticed with the next
// Client, or with the next flight.
func (c *Cache) GrantChanged(key Key) {
	c.overviews.changed(key)
	c.leftovers.add(key)
	n := c.find(key)
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.checked, n.broken = 0, nil
	n.about.Store(nil)
	if l := n.live.Load(); l != nil {
		l.seen.Store(noClient)
	}
}

// Use tells the cache how to find the configuration of the moment, which
// timers need. The latest lookup that was not released holds.
func (c *Cache) Use(lookup func(client string) *Client) (release func()) {
	release = c.users.add(lookup)
	c.watch()
	return release
}

// client is a client as the current configuration has it, nil if it has none.
func (c *Cache) client(name string) *Client {
	if lookup := c.users.last(); lookup != nil {
		return lookup(name)
	}
	return nil
}

// inForce reports whether no other configuration than the client's holds.
func (c *Cache) inForce(cl *Client) bool {
	now := c.client(cl.Name)
	return now == nil || now == cl
}

// superseded reports whether a later configuration than the client's holds. One
// that is about to hold, and is asked already, is not superseded.
func (c *Cache) superseded(cl *Client) bool {
	now := c.client(cl.Name)
	return now != nil && now.identity() > cl.identity()
}

// userList are the lookups of Use, the latest last.
type userList struct {
	mu      sync.Mutex
	all     []*func(string) *Client
	changes atomic.Uint64
}

func (u *userList) add(lookup func(string) *Client) (release func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = append(u.all, &lookup)
	u.changes.Add(1)
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.changes.Add(1)
		if i := slices.Index(u.all, &lookup); i >= 0 {
			u.all = slices.Delete(u.all, i, i+1)
		}
	}
}

func (u *userList) last() func(string) *Client {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.all) == 0 {
		return nil
	}
	return *u.all[len(u.all)-1]
}

// enter lets a flight or a timer's function run, unless the cache is closed.
func (c *Cache) enter() bool {
	c.gate.Lock()
	defer c.gate.Unlock()
	if c.closed {
		return false
	}
	c.running.Add(1)
	return true
}

func (c *Cache) leave() { c.running.Done() }

// Close lets flights end, which have their own deadline, stops the timers and
// writes what is still unsaved. Who waits for the next try gets its answer.
// Tokens that live can be had on. It does not close the store.
func (c *Cache) Close() error {
	c.gate.Lock()
	if !c.closed {
		close(c.closing)
	}
	c.closed = true
	unwatch := c.unwatch
	c.gate.Unlock()
	if unwatch != nil {
		unwatch()
	}
	c.unsaved.stop()
	c.leftovers.stop()
	c.running.Wait()
	c.unsaved.stop()
	c.mu.RLock()
	for _, n := range c.conns {
		n.disarm()
	}
	c.mu.RUnlock()
	end := time.Now().Add(closeLimit)
	c.unsaved.flush(func() bool { return time.Now().After(end) })
	c.unsaved.stop()
	return nil
}

// closeLimit is how long Close goes on writing to a store that fails.
const closeLimit = 5 * time.Second

func (c *Cache) isClosing() bool {
	select {
	case <-c.closing:
		return true
	default:
		return false
	}
}

func (c *Cache) emit(e Event) {
	if c.observe != nil {
		c.observe(e)
	}
}

// clockTolerance is how far the clocks may part between two looks.
const clockTolerance = 5 * time.Minute

// watchClocks notices that the wall clock was set, or that the machine slept.
func (c *Cache) watchClocks(now moment) {
	c.clocks.Lock()
	last := c.lastLook
	c.lastLook = now
	c.clocks.Unlock()
	step := time.Duration((now.wall - last.wall) - (now.mono - last.mono))
	if step.Abs() > clockTolerance {
		c.emit(Event{Type: EventClockStep, Duration: step})
	}
}

// addEvent keeps an event until mu is let go of. With mu held.
func (n *Conn) addEvent(e Event) {
	if n.pendingEvents == nil {
		n.pendingEvents = new([]Event)
	}
	*n.pendingEvents = append(*n.pendingEvents, e)
}

// unlockAndEmit lets go of mu and then tells what happened under it.
func (n *Conn) unlockAndEmit() {
	events := n.pendingEvents
	n.pendingEvents = nil
	n.mu.Unlock()
	if events == nil {
		return
	}
	for _, e := range *events {
		n.cache.emit(e)
	}
}
