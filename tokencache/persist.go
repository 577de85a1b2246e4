package tokencache

import (
	"errors"
	"math"
	"sync"
	"time"
	"unique"
)

// What a restart must not lose: the token, or each start would cost a call; the ledger, or
// a crash loop would spend more than a grant has; the wait, or a server that wants
// silence would be asked again at once. It is read once for a grant, and written when
// changes and stored differ: before a call, and after it.
//
// Times are stored as the wall clock has them, and live as times of this run's monotonic
// clock. The wall clock may have been set in between, so whatever is read is bounded by
// what it could have been: no token lives longer, and nothing waits longer, than when it
// was written.

const (
	longestError = 500         // bytes of an error that are kept
	clockSkew    = time.Minute // a record from further in the future has no believable times
)

// load looks once for each grant at what the run before left. In a fleet it looks each time at
// what others have left.
func (n *Conn) load(cl *Client) error {
	n.mu.Lock()
	loaded, fp, ledger := n.loaded, n.fingerprint, n.ledger
	n.mu.Unlock()
	if loaded && n.cache.shared == nil {
		return nil
	}
	var rec Record
	var calls Calls
	if store := n.cache.store; store != nil {
		if n.cache.shared != nil {
			n.payCalls(cl, ledger.identity())
		}
		var err error
		rec, _, err = store.Load(n.key, cl.secrets())
		if err == nil && ledger != nil {
			calls, err = store.LoadLedger(ledger.id)
		}
		n.cache.emitWarnings()
		if err != nil {
			return n.unreadable(cl, "load", err)
		}
	}
	n.mu.Lock()
	defer n.unlockAndEmit()
	if n.fingerprint != fp {
		return nil
	}
	now := n.cache.clock.now()
	if n.cache.shared != nil {
		ledger.replace(calls, now)
	} else {
		ledger.restore(calls.Times, now)
	}
	n.broken = nil
	if n.loaded {
		n.overtake(cl, rec, now)
	} else {
		n.loaded = true
		n.take(cl, rec, now)
		n.reported = n.state(now) // the run before has told of it
	}
	return nil
}

// take makes a record the state. Its times are turned into times of this run's
// monotonic clock.
func (n *Conn) take(cl *Client, rec Record, now moment) {
	n.generation = max(n.generation, rec.Generation)
	if rec.Fingerprint != n.fingerprint {
		return
	}
	if !rec.Used.IsZero() {
		n.used.CompareAndSwap(0, rec.Used.UnixNano())
	}
	if rec.State != n.waiting.state() || rec.Failures != int(n.waiting.steps) { // otherwise it knows more: who has looked
		n.waiting = waiting{}
		n.waiting.restore(rec.State, rec.Failures, rec.wait(now), now.mono)
		n.failures = uint16(min(n.waiting.steps, math.MaxUint16))
	}
	if rec.LastError != "" {
		n.last = &failure{errors.New(rec.LastError), rec.LastErrorAt.UnixNano()}
	}
	if l := n.live.Load(); l != nil && rec.discarded(l) {
		n.live.Store(nil)
	}
	l := n.stillLive(cl, rec, now)
	if l.widens(n.live.Load()) {
		n.rescope(l.Scope)
	}
	if l != nil && l.newerThan(n.live.Load()) {
		n.schedule(l, rec.planned(now), now)
		n.live.Store(l)
		if d := n.doubts.Load(); d != nil {
			d.tell()
		}
		n.addEvent(Event{Type: EventAdopted, Key: n.key, Generation: l.Generation, Expiry: l.Expiry})
	}
}

func (l *live) newerThan(other *live) bool { return other == nil || l.Generation > other.Generation }

// planned is when the token was to be renewed, as mono; 0 = that is not known.
func (r Record) planned(now moment) int64 {
	if r.RenewAt.IsZero() {
		return 0
	}
	return max(1, now.mono+r.RenewAt.UnixNano()-now.wall)
}

// wait is what is left of the wait that was drawn, and never more than all of it: the
// clock may have been set back since.
func (r Record) wait(now moment) time.Duration {
	left := r.NextTry.Sub(now.time())
	if !r.LastErrorAt.IsZero() {
		left = min(left, r.NextTry.Sub(r.LastErrorAt))
	}
	return left
}

// stillLive is the record's token if it has life left. Its end is the one that
// was written: no restart prolongs it.
func (n *Conn) stillLive(cl *Client, rec Record, now moment) *live {
	life := cl.life(rec.Expiry.Sub(rec.Issued))
	expiry := rec.Issued.Add(life)
	left := min(expiry.Sub(now.time()), life)
	if rec.Token == "" || !rec.Issued.Before(rec.Expiry) || left <= 0 || rec.Issued.After(now.time().Add(clockSkew)) {
		return nil
	}
	deadline := now.mono + int64(left)
	return n.newLive(cl, deadline-int64(life), life, Token{
		Value:      rec.Token,
		Generation: rec.Generation,
		Issued:     rec.Issued,
		Expiry:     expiry,
		APIDomain:  unique.Make(rec.APIDomain).Value(),
		Scope:      unique.Make(rec.Scope).Value(),
		deadline:   time.Duration(deadline),
	})
}

// record is the state as the store keeps it. With mu held.
func (n *Conn) record(now moment) Record {
	rec := Record{
		Fingerprint: n.fingerprint,
		Generation:  n.generation,
		State:       n.waiting.state(),
		Failures:    int(n.waiting.steps),
	}
	if l := n.live.Load(); l != nil {
		rec.Token, rec.Issued, rec.Expiry = l.Value, l.Issued, l.Expiry
		rec.APIDomain, rec.Scope = l.APIDomain, l.Scope
		rec.RenewAt = now.wallAt(l.planned())
	}
	if n.waiting.kind != 0 {
		rec.NextTry = now.wallAt(n.waiting.next)
	}
	if n.last != nil {
		text := n.last.err.Error()
		rec.LastError, rec.LastErrorAt = text[:min(len(text), longestError)], time.Unix(0, n.last.at).UTC()
	}
	if used := n.used.Load(); used != 0 {
		rec.Used = time.Unix(0, used).UTC()
	}
	return rec
}

// save writes the state if the store does not have it.
func (n *Conn) save(cl *Client) error {
	if n.cache.store == nil {
		return nil
	}
	saving := n.cache.saving.record(n.key)
	if err := saving.begin(); err != nil {
		return n.notSaved(err)
	}
	defer saving.end()
	n.mu.Lock()
	if !n.loaded || n.stored == n.changes {
		n.mu.Unlock()
		return nil
	}
	rec, ledger, changes := n.record(n.cache.clock.now()), n.ledger, n.changes
	n.mu.Unlock()
	if n.cache.shared == nil {
		saving := n.cache.saving.ledger(ledger.identity())
		if err := saving.begin(); err != nil {
			return n.notSaved(err)
		}
		defer saving.end()
	}
	rec.LedgerID, rec.Ledger = ledger.identity(), ledger.times(n.cache.clock.now())
	err := n.cache.store.Save(n.key, cl.secrets(), rec)
	n.cache.emitWarnings()
	if errors.Is(err, ErrOutdated) {
		n.mu.Lock()
		n.stored, n.unsaved = changes, nil
		n.mu.Unlock()
		return n.load(cl)
	}
	if err != nil {
		return n.notSaved(err)
	}
	n.mu.Lock()
	n.stored, n.unsaved = changes, nil
	n.mu.Unlock()
	return nil
}

// notSaved tells that the store does not have the state.
func (n *Conn) notSaved(err error) error {
	n.cache.emit(Event{Type: EventStoreError, Key: n.key, Operation: "save", Err: err})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unsaved = n.fail(KindStore, storeRetry, err)
	return err
}

// keep saves, now or later: a write that fails costs no request. A grant that goes
// while its token is written takes it along.
func (n *Conn) keep(cl *Client) {
	defer n.recoverPanic()
	n.recheckGrant(cl)
	err := n.save(cl)
	if n.recheckGrant(cl) { // once: it may not be able to tell for long
		err = n.save(cl)
	}
	if err != nil {
		n.cache.unsaved.add(n, cl)
	}
}

// unsaved are the connections whose state the store does not have. They are
// written again in the steps of the waiting table, together.
type unsaved struct {
	cache *Cache

	mu     sync.Mutex
	conns  map[*Conn]*Client // with the client that wanted it written
	timer  *time.Timer
	rounds int
}

func (u *unsaved) add(n *Conn, cl *Client) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conns == nil {
		u.conns = make(map[*Conn]*Client)
	}
	u.conns[n] = cl
	u.schedule()
}

// schedule sets the timer, if it is not set. With mu held.
func (u *unsaved) schedule() {
	if u.timer == nil && len(u.conns) > 0 {
		u.timer = time.AfterFunc(step(KindTemporary, u.rounds+1, u.cache.rand()), u.again)
	}
}

// again is the timer's function.
func (u *unsaved) again() {
	if !u.cache.enter() {
		return
	}
	defer u.cache.leave()
	failed := u.flush(u.cache.isClosing)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.rounds++
	if !failed {
		u.rounds = 0
	}
	u.timer = nil
	u.schedule()
}

// flush tries each of them once, unless the store is away, or it is over: then the rest is left
// for the next time.
func (u *unsaved) flush(over func() bool) (failed bool) {
	u.mu.Lock()
	conns := u.conns
	u.conns = nil
	u.mu.Unlock()
	for n, cl := range conns {
		if now := u.cache.client(n.key.Client); now != nil {
			cl = now
		}
		err := u.save(n, cl)
		if err == nil {
			delete(conns, n)
			continue
		}
		failed = true
		if errors.Is(err, ErrAway) || over() {
			break
		}
	}
	for n, cl := range conns {
		u.add(n, cl)
	}
	return failed
}

func (u *unsaved) save(n *Conn, cl *Client) (err error) {
	defer n.recoverPanic()
	err = errBusy // if it panics
	return n.save(cl)
}

// stop ends the timer. What is unsaved stays so, for a last flush.
func (u *unsaved) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.timer != nil {
		u.timer.Stop()
	}
}
