package tokencache

import "unique"

// A grant may be given more scopes while its tokens live, and they have them as well.

// Widened notes what the token of a generation may do by now, for whoever has found that out. It is
// kept with the token, and other processes learn of it. A newer token has its own.
func (n *Conn) Widened(cl *Client, generation uint64, scope string) {
	n.mu.Lock()
	l := n.live.Load()
	changed := l != nil && l.Generation == generation && l.Scope != scope
	if changed {
		n.rescope(scope)
		n.changes++
	}
	n.unlockAndEmit()
	if changed {
		n.keep(cl)
	}
}

// rescope publishes the current token anew, with another scope. With mu held.
func (n *Conn) rescope(scope string) {
	before := n.live.Load()
	l := &live{ends: before.ends, Token: before.Token, asked: before.asked, early: before.early}
	l.Scope = unique.Make(scope).Value()
	l.renewAt.Store(before.renewAt.Load())
	l.seen.Store(before.seen.Load())
	n.live.Store(l)
}

// widens reports whether it is the same token, of which another process has found out what it may do.
func (l *live) widens(other *live) bool {
	return l != nil && other != nil && l.Generation == other.Generation && l.Value == other.Value && l.Scope != other.Scope
}
