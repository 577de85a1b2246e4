package tokencache

import (
	"context"
	"time"
)

// otherSide is how long others are heard on whether a token is dead.
const otherSide = time.Second

// ask hears others on a token that this resource server refused, which never accepted any, and
// another one accepted a moment ago. If one accepts it once more, it is this resource server that
// it is no good for. If one has it renewed, or nobody says anything, it may be dead: it was revoked
// within that moment. So whoever provokes refusals gets no token while others have use for the one
// that lives, and a service that is used for the first time meets a revocation as others do, a
// second later at worst. No more than maxWaiters are heard.
func (c Call) ask(ctx context.Context, generation uint64, refused int64) certainty {
	n := c.Resource.conn
	if !n.joinQueue() {
		return notWorth
	}
	defer n.leaveQueue()
	heard := time.NewTimer(otherSide)
	defer heard.Stop()
	for {
		n.awaited.Store(true) // an acceptance that was heard has taken it back
		news := n.doubt().wait()
		switch {
		case c.Resource.acceptedElsewhere(generation, refused):
			return notWorth
		case n.replaces(generation):
			return likely
		}
		select {
		case <-news:
		case <-ctx.Done():
			return notWorth
		case <-heard.C:
			if c.Resource.acceptedElsewhere(generation, refused) {
				return notWorth
			}
			return likely
		case <-n.cache.closing:
			return likely
		}
	}
}

// replaces is replaced, without mu held.
func (n *Conn) replaces(generation uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.replaced(generation)
}
