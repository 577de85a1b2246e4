package tokencache

import (
	"errors"
	"time"
)

var (
	errSuperseded = errors.New("the configuration or the grant was replaced in the meantime")
	errClosed     = errors.New("shutting down")
	errShortLived = errors.New("the new token expired before it could be used")
	errUnknown    = errors.New("neither configured nor connected")
	errStoreSlow  = errors.New("the store has not answered yet, so the server was not asked")
)

// Whose token is it? What a connection knows belongs to one grant: the token, the wait,
// the losses and what resource servers accepted. The grant may change behind its back, by
// a consent, in the configuration or in the store, so it is compared by its fingerprint
// wherever that can matter: before each flight, after one whose grant was touched, and once
// for each configuration (live.seen). Another grant begins everything anew, except for
// the generation, which only grows, and the ledger, which belongs to the grant.
//
// epoch counts those beginnings. Whoever has let go of mu compares it afterwards, and
// drops what it brings if the connection has gone on to another grant meanwhile.

// granted is a grant as it was found, and the epoch of the state that belongs to it.
type granted struct {
	Grant
	fingerprint Fingerprint
	epoch       uint32
}

// check compares the grant that the configuration or the store has now with
// the one that the state belongs to. Another one makes everything anew, but
// only a configuration that is not on its way out may say so.
func (n *Conn) check(cl *Client) (granted, error) {
	g, configured, err := n.grant(cl)
	if err != nil {
		n.ungranted(cl, err)
		return granted{}, err
	}
	fp, counted, superseded := cl.fingerprint(g), cl.ledgerID(g), n.cache.superseded(cl)
	n.mu.Lock()
	defer n.unlockAndEmit()
	if n.epoch == 0 || fp != n.fingerprint {
		now := n.cache.clock.now().mono
		if n.epoch != 0 && (superseded || n.claim.against(cl, n.cache, now)) {
			return granted{}, n.fail(KindTemporary, lookAgain, errSuperseded)
		}
		if n.epoch != 0 {
			n.claim = &claim{client: cl.identity(), changes: n.cache.users.changes.Load(), at: now}
		}
		n.reset(fp, counted)
	}
	n.recognise(cl)
	n.about.Store(describe(g, configured))
	if n.loaded {
		n.broken = nil
	}
	return granted{g, fp, n.epoch}, nil
}

// claim says which configuration brought the grant. While a reload is under way
// the one before still holds, and the next one may be asked already: if their
// grants differ, the old one does not get its own back, or they would take
// turns, with a token call for each.
type claim struct {
	client  uint64
	changes uint64 // of the configurations that hold, until then
	at      int64  // mono
}

const reloadLimit = 10 * time.Second // a reload that takes longer has failed

// against reports whether the claim holds against a client: an older one, within a reload.
func (c *claim) against(cl *Client, cache *Cache, now int64) bool {
	return c != nil && c.client > cl.identity() && c.changes == cache.users.changes.Load() && now-c.at < int64(reloadLimit)
}

// grant is the account's grant: configured, or else stored.
func (n *Conn) grant(cl *Client) (g Grant, configured bool, _ *Error) {
	if cl.Grant != nil {
		g, configured, err := cl.Grant(n.key.Account)
		switch {
		case err != nil:
			return Grant{}, configured, n.unreadable(cl, "load_grant", err)
		case configured:
			return g, true, nil
		}
	}
	if err := n.ungrantable(); err != nil {
		return Grant{}, false, n.breaks(cl, err)
	}
	g, found, err := n.cache.store.LoadGrant(n.key, cl.secrets())
	n.cache.emitWarnings()
	switch {
	case err != nil:
		return Grant{}, false, n.unreadable(cl, "load_grant", err)
	case !found:
		return Grant{}, false, n.fail(KindNoGrant, 0, errUnknown)
	}
	return g, false, nil
}

// broken is a failure of the store that is not to be met again at once.
type broken struct {
	err    *Error
	client uint64 // whose configuration could not read it
	till   int64  // mono
}

func (b *broken) cause() *Error {
	if b == nil {
		return nil
	}
	return b.err
}

// unreadable makes an error of a store that cannot be read, and remembers it
// for a moment: asked at each request, it would be told of at each request.
func (n *Conn) unreadable(cl *Client, operation string, err error) *Error {
	n.cache.emit(Event{Type: EventStoreError, Key: n.key, Operation: operation, Err: err})
	return n.breaks(cl, n.fail(KindStore, storeRetry, err))
}

// breaks remembers a failure of the store for a second, for this configuration alone: the
// next one may have another key, or the grant itself. Other kinds are not remembered.
func (n *Conn) breaks(cl *Client, err *Error) *Error {
	if err.Kind == KindStore {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.broken = &broken{err: err, client: cl.identity(), till: n.cache.clock.now().mono + int64(lookAgain)}
	}
	return err
}

// ungranted does what a missing grant asks for. One that is gone takes its
// token along; one that cannot be read now does not.
func (n *Conn) ungranted(cl *Client, err *Error) {
	inForce := n.cache.inForce(cl)
	n.mu.Lock()
	defer n.unlockAndEmit()
	switch {
	case !inForce:
		return
	case err.Err == errUnknown && n.fingerprint != Fingerprint{}:
		n.reset(Fingerprint{}, Fingerprint{})
		n.loaded = true // nothing is kept of no grant, and that is what is to be stored
		n.checked = cl.identity()
		n.changes++
	}
	n.about.Store(nil)
}

// checkAgain is check, but for what has failed within this second.
func (n *Conn) checkAgain(cl *Client) (granted, error) {
	n.mu.Lock()
	b := n.broken
	n.mu.Unlock()
	if b != nil && b.client == cl.identity() && n.cache.clock.now().mono < b.till {
		return granted{}, b.err
	}
	return n.check(cl)
}

// serves reports whether a token may be handed out though its grant could not be looked at,
// for the reason err: after a reload, a store that fails must not cost a request. What
// is known to have changed, or may have with the configuration, is not served.
func (n *Conn) serves(cl *Client, l *live, req request, err error) bool {
	var e *Error
	if req.operator || !errors.As(err, &e) || e.Kind != KindStore || l.seen.Load() == noClient || !l.usable(n.cache.clock.now(), req) {
		return false
	}
	if cl.Grant == nil {
		return true
	}
	_, configured, _ := cl.Grant(n.key.Account)
	return !configured
}

// recognise notes that the client's grant is the one of the state.
func (n *Conn) recognise(cl *Client) {
	n.checked = cl.identity()
	if l := n.live.Load(); l != nil {
		l.seen.Store(n.checked)
	}
}

// reset begins the state of another grant, whose calls are in the ledger counted. Generations
// grow on.
func (n *Conn) reset(fp, counted Fingerprint) {
	n.epoch++
	if n.ledger != nil { // that of the grant before
		n.cache.leftovers.add(n.key)
	}
	n.fingerprint = fp
	n.live.Store(nil)
	n.ledger = n.cache.ledgers.of(counted, n.cache.looks, n.cache.clock.now().mono)
	n.loaded, n.waiting = false, waiting{}
	n.failures, n.last, n.lost = 0, nil, nil
	n.about.Store(nil)
	n.doubts.Store(nil)
	for r := n.resources.Load(); r != nil; r = r.next {
		r.reset()
	}
	n.report(n.cache.clock.now())
}
