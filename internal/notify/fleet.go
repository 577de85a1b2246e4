package notify

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Each replica of a fleet notices what becomes of a connection, sooner or later. The first one that notices claims
// it, for as long as all tries may take, and tells. When it has told, it notes that. A replica that notices later
// looks once more when the claim has ended: the one that had it may have died, or may not have got through. While
// the store is away, every replica tells.

const (
	claimLife = 5 * time.Minute    // all tries take less
	toldLife  = 7 * 24 * time.Hour // who notices even later tells again
)

// occurrence is what notifications of several replicas are about. The zero one is noticed by one alone.
type occurrence struct {
	name  string   // the same at each replica
	other []string // it ends these, which can occur anew then, and is old news after one of them
}

// trouble is that of a grant: another one has its own.
func trouble(state string, key tokencache.Key, grant tokencache.Fingerprint) occurrence {
	return occurrence{name: troubleName(state, key, grant), other: []string{recoveryName(key)}}
}

func recovery(key tokencache.Key, grant tokencache.Fingerprint) occurrence {
	return occurrence{name: recoveryName(key), other: []string{
		troubleName(tokencache.StateDead, key, grant),
		troubleName(tokencache.StateContended, key, grant),
	}}
}

func troubleName(state string, key tokencache.Key, grant tokencache.Fingerprint) string {
	return state + " " + key.String() + " " + grant.String()
}

func recoveryName(key tokencache.Key) string { return "recovered " + key.String() }

func claimed(name string) string { return "notify: claimed " + name }

func told(name string) string { return "notify: told " + name }

// claim reports whether this replica is to tell.
func (n *Notifier) claim(x notification) bool {
	if n.fleet == nil || x.name == "" {
		return true
	}
	if n.isTold(x.name) {
		return false
	}
	first, err := n.fleet.ConsumeNonce(claimed(x.name), time.Now().Add(claimLife))
	if err == nil && !first {
		n.lookAgain(x)
		return false
	}
	n.end(x.other)
	return true
}

// isTold reports whether another replica has told, as far as that can be known.
func (n *Notifier) isTold(name string) bool {
	used, err := n.fleet.NonceConsumed(told(name))
	return used && err == nil
}

// end has occurrences be told of when they occur anew.
func (n *Notifier) end(names []string) {
	for _, name := range names {
		_ = n.fleet.ReturnNonce(told(name)) // an error is told of by whoever needs the store
		_ = n.fleet.ReturnNonce(claimed(name))
	}
}

// lookAgain tells all the same, if whoever has claimed that does not do it.
func (n *Notifier) lookAgain(x notification) {
	time.AfterFunc(claimLife+rand.N(time.Minute), func() {
		if n.ctx.Err() == nil && !n.isTold(x.name) && !slices.ContainsFunc(x.other, n.isTold) {
			n.add(x)
		}
	})
}

// note has others know that it was told. What was not taken they tell when the claim has ended.
func (n *Notifier) note(o occurrence) {
	if n.fleet != nil && o.name != "" {
		_, _ = n.fleet.ConsumeNonce(told(o.name), time.Now().Add(toldLife))
	}
}
