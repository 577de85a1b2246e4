package apikeys

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	triesAtOnce = 20
	triesEvery  = time.Minute / triesAtOnce
	maxPeers    = 4096 // whose wrong tries are remembered
)

// Tries slows down wrong tries of a peer. The zero value is ready. Safe for concurrent use.
type Tries struct {
	mu    sync.Mutex
	peers map[string]*rate.Limiter
}

// Wrong notes a wrong try of a peer, and reports whether it has had too many.
func (t *Tries) Wrong(peer string) (tooMany bool) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.peers[peer]
	if l == nil {
		t.makeRoom(now)
		l = rate.NewLimiter(rate.Every(triesEvery), triesAtOnce)
		t.peers[peer] = l
	}
	return !l.AllowN(now, 1)
}

// makeRoom forgets the peers whose wrong tries are long ago, or some if there are none.
func (t *Tries) makeRoom(now time.Time) {
	if t.peers == nil {
		t.peers = make(map[string]*rate.Limiter)
	}
	if len(t.peers) < maxPeers {
		return
	}
	for peer, l := range t.peers {
		if l.TokensAt(now) >= triesAtOnce {
			delete(t.peers, peer)
		}
	}
	for peer := range t.peers {
		if len(t.peers) < maxPeers {
			return
		}
		delete(t.peers, peer)
	}
}
