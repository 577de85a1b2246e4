package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/internal/warnings"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Memory is one replica's handle on a shared store without a network, for tests of what uses
// one: its time is time.Now, so it works in a synctest bubble, and Away cuts a replica off.
// It seals nothing, but opens things by the same secrets as a store that does.
type Memory struct {
	all *memory // its mutex guards the rest, too

	away     bool
	before   map[tokencache.Key]memoryGrant // the stored grants when it was cut off
	read     map[tokencache.Key]bool        // grants that LoadGrant has returned
	watchers []*memoryWatcher
	warnings warnings.List
}

// memory is what the replicas share.
type memory struct {
	mu          sync.Mutex
	replicas    []*Memory
	grants      map[tokencache.Key]memoryGrant
	connections map[tokencache.Key]*memoryConnection
	ledgers     map[tokencache.Fingerprint]*memoryLedger
	grantRings  map[string]*memoryRing // :: client
	tokenRings  map[string]*memoryRing // :: client
	values      map[[2]string]memoryValue
	nonces      map[string]time.Time
	deleted     map[tokencache.Key]time.Time
}

// memoryRing is the data key of a client: what it has sealed names it, and each secret in it
// opens that.
type memoryRing struct{ secrets map[string]bool }

type memoryGrant struct {
	tokencache.Grant
	ring *memoryRing
}

type memoryConnection struct {
	record     tokencache.Record // without token and ledger
	saved      bool
	token      string
	ring       *memoryRing // of the token
	generation uint64      // the highest that was given out or saved
	overtaken  uint64      // by DeleteGrant: no token up to this generation is stored any more
	lease      string      // its id
	leaseEnd   time.Time
}

type memoryLedger struct {
	calls  []memoryCall // oldest first
	window time.Duration
}

type memoryCall struct {
	id string
	at time.Time
}

type memoryValue struct {
	data []byte
	ring *memoryRing
	end  time.Time
}

// NewMemory returns the first replica's handle on an empty store.
func NewMemory() *Memory {
	return (&memory{
		grants:      make(map[tokencache.Key]memoryGrant),
		connections: make(map[tokencache.Key]*memoryConnection),
		ledgers:     make(map[tokencache.Fingerprint]*memoryLedger),
		grantRings:  make(map[string]*memoryRing),
		tokenRings:  make(map[string]*memoryRing),
		values:      make(map[[2]string]memoryValue),
		nonces:      make(map[string]time.Time),
		deleted:     make(map[tokencache.Key]time.Time),
	}).replica()
}

func (a *memory) replica() *Memory {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := &Memory{all: a, read: make(map[tokencache.Key]bool)}
	a.replicas = append(a.replicas, m)
	return m
}

// Replica returns a further replica's handle on the same store.
func (m *Memory) Replica() *Memory { return m.all.replica() }

// Away cuts this replica off, so that its calls fail with ErrAway, or ends that. The others
// go on.
func (m *Memory) Away(away bool) {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	if away && !m.away {
		m.before = maps.Clone(m.all.grants)
	}
	if !away && m.away {
		m.tell(tokencache.Change{})
	}
	m.away = away
}

// Close ends the use of this handle.
func (m *Memory) Close() error { return nil }

// run is a call to the store.
func (m *Memory) run(do func(*memory) error) error {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	if m.away {
		return &tokencache.StoreError{
			File: "memory", Reason: "it cannot be reached", Remedy: "end its being away", Err: tokencache.ErrAway,
		}
	}
	return do(m.all)
}

// Accounts is of tokencache.Store.
func (m *Memory) Accounts(client string) (accounts []string) {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	for key := range m.stored() {
		if key.Client == client {
			accounts = append(accounts, key.Account)
		}
	}
	slices.Sort(accounts)
	return accounts
}

// HasGrant is of tokencache.Store.
func (m *Memory) HasGrant(key tokencache.Key) bool {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	_, found := m.stored()[key]
	return found
}

// stored are the grants as far as this replica knows. With the mutex held.
func (m *Memory) stored() map[tokencache.Key]memoryGrant {
	if m.away {
		return m.before
	}
	return m.all.grants
}

// CheckGrants is of tokencache.Store.
func (m *Memory) CheckGrants() error { return m.run(func(*memory) error { return nil }) }

// TryWrite is of onboard.Store.
func (m *Memory) TryWrite() error { return m.run(func(*memory) error { return nil }) }

// LoadGrant is of tokencache.Store. One that was read before is known while the store is away.
func (m *Memory) LoadGrant(key tokencache.Key, secrets [][]byte) (g tokencache.Grant, found bool, err error) {
	m.all.mu.Lock()
	known, ok := m.before[key]
	known.ring = known.ring.copy()
	if m.away && ok && m.read[key] && known.ring.opens(secrets) {
		m.all.mu.Unlock()
		return known.Grant, true, nil
	}
	m.all.mu.Unlock()
	err = m.run(func(a *memory) error {
		stored, ok := a.grants[key]
		if !ok {
			return nil
		}
		if !stored.ring.opens(secrets) {
			return unopened("grant of " + key.String())
		}
		g, found, m.read[key] = stored.Grant, true, true
		return nil
	})
	return g, found, err
}

// SaveGrant is of tokencache.Store.
func (m *Memory) SaveGrant(key tokencache.Key, secrets [][]byte, g tokencache.Grant) error {
	return m.saveGrant(key, secrets, g, false)
}

// ReplaceGrant is of tokencache.Store.
func (m *Memory) ReplaceGrant(key tokencache.Key, secrets [][]byte, g tokencache.Grant) error {
	return m.saveGrant(key, secrets, g, true)
}

func (m *Memory) saveGrant(key tokencache.Key, secrets [][]byte, g tokencache.Grant, anew bool) error {
	return m.SaveGrants(key.Client, secrets, map[string]tokencache.Grant{key.Account: g}, anew)
}

// SaveGrants is of onboard.Store.
func (m *Memory) SaveGrants(client string, secrets [][]byte, grants map[string]tokencache.Grant, anew bool) error {
	for account, g := range grants {
		if err := checkKey(tokencache.Key{Client: client, Account: account}); err != nil {
			return err
		}
		if g.RefreshToken == "" {
			return errors.New("a grant without a refresh token is not stored")
		}
	}
	return m.run(func(a *memory) error {
		ring := a.grantRings[client]
		if !ring.opens(secrets) {
			if !anew && a.countGrants(client) > 0 {
				return unopened("grants of client " + client)
			}
			if ring = newMemoryRing(secrets); ring == nil {
				return unopened("grants of client " + client)
			}
			a.grantRings[client] = ring
		}
		for account, g := range grants {
			key := tokencache.Key{Client: client, Account: account}
			g.GrantedAt = sealed.UTC(g.GrantedAt)
			g.Scopes = slices.Clone(g.Scopes)
			a.grants[key] = memoryGrant{g, ring}
			delete(a.deleted, key)
			m.tellOthers(tokencache.Change{Key: key, Grant: true})
		}
		return nil
	})
}

// Lost is of onboard.Store.
func (m *Memory) Lost(tokencache.Key) bool { return false }

// Deleted is of onboard.Store.
func (m *Memory) Deleted() (deleted map[tokencache.Key]time.Time, err error) {
	err = m.run(func(a *memory) error {
		deleted = maps.Clone(a.deleted)
		return nil
	})
	return deleted, err
}

// MarkDeleted is of onboard.Store.
func (m *Memory) MarkDeleted(deleted map[tokencache.Key]time.Time) error {
	return m.run(func(a *memory) error {
		for key, at := range deleted {
			if _, noted := a.deleted[key]; !noted {
				a.deleted[key] = at
			}
		}
		return nil
	})
}

func (a *memory) countGrants(client string) (n int) {
	for key := range a.grants {
		if key.Client == client {
			n++
		}
	}
	return n
}

// DeleteGrant is of tokencache.Store.
func (m *Memory) DeleteGrant(key tokencache.Key) error {
	return m.run(func(a *memory) error {
		if _, found := a.grants[key]; !found {
			return nil
		}
		delete(a.grants, key)
		a.deleted[key] = sealed.UTC(time.Now())
		if a.countGrants(key.Client) == 0 {
			delete(a.grantRings, key.Client)
		}
		c := a.connection(key)
		c.token, c.overtaken, c.lease = "", c.generation, ""
		m.tellOthers(tokencache.Change{Key: key, Grant: true})
		return nil
	})
}

// connection is what is kept of one. With the mutex held.
func (a *memory) connection(key tokencache.Key) *memoryConnection {
	c := a.connections[key]
	if c == nil {
		c = new(memoryConnection)
		a.connections[key] = c
	}
	return c
}

// Load is of tokencache.Store.
func (m *Memory) Load(key tokencache.Key, secrets [][]byte) (r tokencache.Record, found bool, err error) {
	err = m.run(func(a *memory) error {
		c := a.connections[key]
		if c == nil || !c.saved {
			return nil
		}
		r, found = c.record, true
		if c.token != "" && !c.ring.opens(secrets) {
			m.warnings.Warn("tokens of client %q are left out: %v", key.Client, tokencache.ErrWrongKey)
			return nil
		}
		r.Token = c.token
		return nil
	})
	return r, found, err
}

// Save is of tokencache.Shared.
func (m *Memory) Save(key tokencache.Key, secrets [][]byte, r tokencache.Record) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return m.run(func(a *memory) error {
		c := a.connection(key)
		if c.outdates(r) {
			return fmt.Errorf("record of %s: %w", key, tokencache.ErrOutdated)
		}
		stored, err := sealed.NewRecord(r).Record() // times as a store keeps them
		if err != nil {
			return err
		}
		token, ring := r.Token, a.tokenRings[key.Client]
		if token != "" && !ring.opens(secrets) {
			if ring = newMemoryRing(secrets); ring == nil {
				token, err = "", unopened("token of "+key.String())
			} else {
				a.tokenRings[key.Client] = ring
			}
		}
		same := c.saved && c.token == token && unused(c.record) == unused(stored)
		c.record, c.saved, c.token, c.ring = stored, true, token, ring
		c.generation = max(c.generation, r.Generation)
		if !same {
			m.tellOthers(tokencache.Change{Key: key})
		}
		return err
	})
}

// outdates reports whether a record comes too late.
func (c *memoryConnection) outdates(r tokencache.Record) bool {
	switch {
	case c.saved && r.Generation < c.record.Generation, r.Token != "" && 0 < r.Generation && r.Generation <= c.overtaken:
		return true
	case r.Token == "" || c.token == "" || r.Generation > c.record.Generation:
		return false
	}
	return r.Token != c.token && r.Fingerprint == c.record.Fingerprint
}

// unused is all of a record that others want to know of.
func unused(r tokencache.Record) string {
	r.Used = time.Time{}
	r.Ledger = nil
	return fmt.Sprint(sealed.NewRecord(r))
}

// Lease is of tokencache.Shared.
func (m *Memory) Lease(key tokencache.Key, life time.Duration) (l tokencache.Lease, err error) {
	err = m.run(func(a *memory) error {
		c, now := a.connection(key), time.Now()
		if c.lease != "" && now.Before(c.leaseEnd) {
			return &tokencache.LeasedError{Left: c.leaseEnd.Sub(now)}
		}
		c.generation++
		c.lease, c.leaseEnd = rand.Text(), now.Add(life)
		l = tokencache.Lease{ID: c.lease, Generation: c.generation}
		return nil
	})
	return l, err
}

// Extend is of tokencache.Shared.
func (m *Memory) Extend(key tokencache.Key, l tokencache.Lease, life time.Duration) error {
	return m.run(func(a *memory) error {
		c, now := a.connection(key), time.Now()
		if c.lease != l.ID || !now.Before(c.leaseEnd) {
			return fmt.Errorf("%s: %w", key, tokencache.ErrLeaseLost)
		}
		c.leaseEnd = now.Add(life)
		return nil
	})
}

// Release is of tokencache.Shared.
func (m *Memory) Release(key tokencache.Key, l tokencache.Lease) error {
	return m.run(func(a *memory) error {
		if c := a.connection(key); c.lease == l.ID {
			c.lease = ""
			if c.generation == l.Generation && c.record.Generation < l.Generation {
				c.generation--
			}
		}
		return nil
	})
}

// ledger is that of a grant. With the mutex held.
func (a *memory) ledger(of tokencache.Fingerprint) *memoryLedger {
	l := a.ledgers[of]
	if l == nil {
		l = new(memoryLedger)
		a.ledgers[of] = l
	}
	return l
}

// times are when the calls were that count for anybody.
func (l *memoryLedger) times(now time.Time) (times []time.Time) {
	l.calls = slices.DeleteFunc(l.calls, func(c memoryCall) bool { return now.Sub(c.at) >= l.window })
	for _, c := range l.calls {
		times = append(times, sealed.UTC(c.at))
	}
	return times
}

// LoadLedger is of tokencache.Store.
func (m *Memory) LoadLedger(of tokencache.Fingerprint) (calls tokencache.Calls, err error) {
	err = m.run(func(a *memory) error {
		now := time.Now()
		calls = tokencache.Calls{Times: a.ledger(of).times(now), Read: now.UnixMicro()}
		return nil
	})
	return calls, err
}

// SaveLedger is of tokencache.Shared: it leaves the ledger alone.
func (m *Memory) SaveLedger(tokencache.Fingerprint, []time.Time, time.Time) error {
	return m.run(func(*memory) error { return nil })
}

// EnterCall is of tokencache.Shared.
func (m *Memory) EnterCall(of tokencache.Fingerprint, budget int, window time.Duration) (e tokencache.Entry, err error) {
	err = m.run(func(a *memory) error {
		l, now := a.ledger(of), time.Now()
		l.window = max(l.window, window)
		counting := 0
		for _, at := range l.times(now) {
			if now.Sub(at) < window {
				counting++
			}
		}
		if counting < budget {
			e.ID = rand.Text()
			l.calls = append(l.calls, memoryCall{e.ID, now})
		}
		e.Calls = tokencache.Calls{Times: l.times(now), Read: now.UnixMicro()}
		return nil
	})
	return e, err
}

// CompleteCall is of tokencache.Shared.
func (m *Memory) CompleteCall(of tokencache.Fingerprint, id string, counts bool) error {
	return m.run(func(a *memory) error {
		l := a.ledger(of)
		i := slices.IndexFunc(l.calls, func(c memoryCall) bool { return c.id == id })
		if i >= 0 {
			l.calls = slices.Delete(l.calls, i, i+1)
		}
		if counts {
			l.calls = append(l.calls, memoryCall{id, time.Now()})
		}
		return nil
	})
}

// ConsumeNonce is of onboard.Store.
func (m *Memory) ConsumeNonce(id string, until time.Time) (first bool, err error) {
	err = m.run(func(a *memory) error {
		if first = !time.Now().Before(a.nonces[id]); first {
			a.nonces[id] = until
		}
		return nil
	})
	return first, err
}

// ReturnNonce is of onboard.Store.
func (m *Memory) ReturnNonce(id string) error {
	return m.run(func(a *memory) error {
		delete(a.nonces, id)
		return nil
	})
}

// NonceConsumed is of onboard.Store.
func (m *Memory) NonceConsumed(id string) (used bool, err error) {
	err = m.run(func(a *memory) error {
		used = time.Now().Before(a.nonces[id])
		return nil
	})
	return used, err
}

// Put is of onboard.Shared.
func (m *Memory) Put(client, name string, secrets [][]byte, value []byte, life time.Duration) error {
	return m.run(func(a *memory) error {
		ring := a.tokenRings[client]
		if !ring.opens(secrets) {
			if ring = newMemoryRing(secrets); ring == nil {
				return unopened("what is pending for client " + client)
			}
			a.tokenRings[client] = ring
		}
		a.values[[2]string{client, name}] = memoryValue{slices.Clone(value), ring, time.Now().Add(life)}
		return nil
	})
}

// Get is of onboard.Shared.
func (m *Memory) Get(client, name string, secrets [][]byte) (value []byte, found bool, err error) {
	return m.value(client, name, secrets, false)
}

// Take is of onboard.Shared.
func (m *Memory) Take(client, name string, secrets [][]byte) (value []byte, found bool, err error) {
	return m.value(client, name, secrets, true)
}

func (m *Memory) value(client, name string, secrets [][]byte, take bool) (value []byte, found bool, err error) {
	err = m.run(func(a *memory) error {
		at := [2]string{client, name}
		v, ok := a.values[at]
		if !ok || !time.Now().Before(v.end) {
			return nil
		}
		if !v.ring.opens(secrets) {
			m.warnings.Warn("what is pending for client %q is left out: %v", client, tokencache.ErrWrongKey)
			return nil
		}
		if take {
			delete(a.values, at)
		}
		value, found = slices.Clone(v.data), true
		return nil
	})
	return value, found, err
}

// UnreportedWarnings is of tokencache.Store.
func (m *Memory) UnreportedWarnings() []string { return m.warnings.Unreported() }

// Watch is of tokencache.Shared.
func (m *Memory) Watch(f func(tokencache.Change)) (stop func()) {
	w := &memoryWatcher{news: make(chan struct{}, 1), end: make(chan struct{})}
	m.all.mu.Lock()
	m.watchers = append(m.watchers, w)
	m.all.mu.Unlock()
	var running sync.WaitGroup
	running.Go(func() { w.run(&m.all.mu, f) })
	return sync.OnceFunc(func() {
		m.all.mu.Lock()
		m.watchers = slices.DeleteFunc(m.watchers, func(other *memoryWatcher) bool { return other == w })
		m.all.mu.Unlock()
		close(w.end)
		running.Wait()
	})
}

// memoryWatcher tells one function, in a goroutine of its own.
type memoryWatcher struct {
	untold []tokencache.Change
	news   chan struct{}
	end    chan struct{}
}

func (w *memoryWatcher) run(mu *sync.Mutex, f func(tokencache.Change)) {
	for {
		select {
		case <-w.end:
			return
		case <-w.news:
		}
		mu.Lock()
		untold := w.untold
		w.untold = nil
		mu.Unlock()
		for _, change := range untold {
			f(change)
		}
	}
}

// tellOthers tells all other replicas that are not away. With the mutex held.
func (m *Memory) tellOthers(c tokencache.Change) {
	for _, other := range m.all.replicas {
		if other != m && !other.away {
			other.tell(c)
		}
	}
}

// tell tells who watches by this handle. With the mutex held.
func (m *Memory) tell(c tokencache.Change) {
	for _, w := range m.watchers {
		w.untold = append(w.untold, c)
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}

// newMemoryRing is a ring that these secrets open, nil without any.
func newMemoryRing(secrets [][]byte) *memoryRing {
	r := &memoryRing{secrets: make(map[string]bool)}
	r.add(secrets)
	if len(r.secrets) == 0 {
		return nil
	}
	return r
}

func (r *memoryRing) add(secrets [][]byte) {
	for _, s := range secrets {
		if len(s) > 0 {
			r.secrets[string(s)] = true
		}
	}
}

// opens reports whether one of the secrets opens what the ring has sealed; all do from then on.
func (r *memoryRing) opens(secrets [][]byte) bool {
	if r == nil || !slices.ContainsFunc(secrets, func(s []byte) bool { return r.secrets[string(s)] }) {
		return false
	}
	r.add(secrets)
	return true
}

// copy is for a replica that is away: what it does to the ring nobody learns of.
func (r *memoryRing) copy() *memoryRing {
	if r == nil {
		return nil
	}
	return &memoryRing{secrets: maps.Clone(r.secrets)}
}

// checkKey wants a client and an account, of some length.
func checkKey(key tokencache.Key) error {
	if key.Client == "" || key.Account == "" || len(key.Client)+len(key.Account) > 32_000 {
		return errors.New("a connection has a client and an account, of some length")
	}
	return nil
}

func unopened(what string) error {
	return &tokencache.StoreError{
		File: "memory", Reason: what + ": " + tokencache.ErrWrongKey.Error(), Remedy: "offer the key of before",
		Err: tokencache.ErrWrongKey, Replaceable: true,
	}
}

var (
	_ tokencache.Shared = (*Memory)(nil)
	_ onboard.Shared    = (*Memory)(nil)
)
