package tokencache

import (
	"errors"
	"fmt"
	"sync"
)

// grantLookup is what the store last said of grants that its index does not name. It
// is one answer for all names: callers may think of as many as they like.
type grantLookup struct {
	mu    sync.Mutex
	looks chan struct{} // closed when the look that is under way is over; nil = none is
	taken bool
	err   error // why it cannot tell, nil = there is no such grant
	till  int64 // mono
	// changes counts how often it has said another thing than the time before.
	changes uint64
}

// ungrantable tells why the store has no grant of the connection, nil if it has one.
// It needs no secret, and looks at the files once a second at most.
func (n *Conn) ungrantable() *Error {
	store := n.cache.store
	switch {
	case store == nil:
		return n.fail(KindNoGrant, 0, errUnknown)
	case store.HasGrant(n.key):
		return nil
	}
	err := n.cache.lookAtGrants(n.key.Client)
	switch {
	case store.HasGrant(n.key): // the look has found another file, or somebody else has opened it meanwhile
		return nil
	case err != nil:
		return n.fail(KindStore, storeRetry, err)
	}
	return n.fail(KindNoGrant, 0, errUnknown)
}

// CheckGrants is the store's, as of this second: for whoever asks often.
func (c *Cache) CheckGrants() error {
	if c.store == nil {
		return nil
	}
	return c.lookAtGrants("")
}

// lookAtGrants tells why grants.db is not to be relied on, as of this second.
func (c *Cache) lookAtGrants(client string) error {
	first, err := c.lookup.take(c)
	if first && err != nil {
		c.emit(Event{Type: EventStoreError, Key: Key{Client: client}, Operation: "load_grant", Err: err})
	}
	c.emitWarnings()
	return err
}

// take is the answer of this second. One caller looks, while the others get the answer of before. A
// store that is asked over the network may be slow, and health checks come here: then nobody
// waits but for the first answer.
func (l *grantLookup) take(c *Cache) (first bool, err error) {
	l.mu.Lock()
	for !l.taken && l.looks != nil {
		looks := l.looks
		l.mu.Unlock()
		<-looks
		l.mu.Lock()
	}
	if l.taken && (l.looks != nil || c.clock.now().mono < l.till) {
		defer l.mu.Unlock()
		return false, l.err
	}
	l.looks = make(chan struct{})
	if before := l.err; l.taken && c.shared != nil && c.enter() {
		defer l.mu.Unlock()
		go func() {
			defer c.leave()
			l.look(c)
		}()
		return true, before
	}
	l.mu.Unlock()
	return true, l.look(c)
}

// look asks the store. It belongs to whoever has made looks.
func (l *grantLookup) look(c *Cache) error {
	err := c.store.CheckGrants()
	l.mu.Lock()
	defer l.mu.Unlock()
	if fmt.Sprint(l.err) != fmt.Sprint(err) {
		l.changes++
	}
	l.err, l.taken, l.till = err, true, c.clock.now().mono+int64(lookAgain)
	close(l.looks)
	l.looks = nil
	return err
}

// version tells one thing that was said from the next.
func (l *grantLookup) version() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes
}

// emitWarnings makes events of what the store has warned of since the last time.
func (c *Cache) emitWarnings() {
	if c.store == nil || c.observe == nil {
		return
	}
	for _, text := range c.store.UnreportedWarnings() {
		c.emit(Event{Type: EventStoreWarning, Err: errors.New(text)})
	}
}
