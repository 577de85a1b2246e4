package tokencache

// Kept is the token that lives now, in memory or in the store, nil if there is none. No server is
// asked for one. The error is an *Error.
func (n *Conn) Kept(cl *Client) (*Token, error) {
	if _, err := n.check(cl); err != nil {
		return nil, err
	}
	if err := n.load(cl); err != nil {
		return nil, err
	}
	if l := n.live.Load(); l != nil && l.alive(n.cache.clock.now()) {
		return &l.Token, nil
	}
	return nil, nil
}

// Discard drops a token that the server was told to end: whoever comes next gets another one, and
// no timer does before. Where it is not the current one any more, nothing happens. The error
// says that the store still has it.
//
// The generation grows by one that no token has, so that other processes drop the token as well.
func (n *Conn) Discard(cl *Client, generation uint64) error {
	leads := n.takeLease()
	defer leads.end()
	n.mu.Lock()
	if l := n.live.Load(); l == nil || l.Generation != generation {
		n.mu.Unlock()
		return nil
	}
	n.live.Store(nil)
	n.generation = max(n.generation+1, leads.generation())
	n.used.Store(0)
	n.changes++
	n.mu.Unlock()
	err := n.save(cl)
	if err != nil {
		n.cache.unsaved.add(n, cl)
	}
	return err
}

// discarded reports whether the record says that a token was discarded: it is of a newer
// generation, and none came with it. A token that came, and cannot be opened, left its times.
func (r Record) discarded(l *live) bool {
	return r.Generation > l.Generation && r.Token == "" && r.Issued.IsZero()
}
