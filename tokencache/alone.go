package tokencache

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"
)

// While the store is away, tokens at hand are served as ever. Where none lives, this process asks
// alone, once in aloneEvery: the others may do so too, and none of them sees how often.
const aloneEvery = 10 * time.Minute

// soloCalls are those that were made without the store, by the id of the ledger that they are counted in. Few
// ledgers have any.
type soloCalls struct {
	mu sync.Mutex
	of map[Fingerprint]soloCall
}

type soloCall struct {
	at     int64 // mono of the last call
	unpaid int   // calls that the ledger of the fleet does not have
}

// leadless decides what to do without the store. A call that has a token to go on with, or that
// an operator wants, is not worth one that nobody else knows of.
func (n *Conn) leadless(f *flight, cl *Client, err error) error {
	if !errors.Is(err, ErrAway) {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.cache.clock.now()
	l := n.live.Load()
	if f.request.operator || f.request.cause != CauseRefused && l != nil && l.alive(now) {
		return err
	}
	f.alone = true
	return nil
}

// goAlone notes a call that this process makes without the store, or says why it may not now. With mu held.
func (n *Conn) goAlone(now moment) error {
	x := &n.cache.solo
	x.mu.Lock()
	defer x.mu.Unlock()
	last, found := x.of[n.ledger.id]
	if found && now.mono-last.at < int64(aloneEvery) {
		wait := time.Duration(last.at + int64(aloneEvery) - now.mono)
		return n.fail(KindStore, min(wait, storeRetry), fmt.Errorf(
			"%w, and the one token that may be requested without it in %s is spent: the next one is due in %s",
			ErrAway, aloneEvery, wait.Round(time.Second)))
	}
	x.forget(now)
	x.of[n.ledger.id] = soloCall{at: now.mono, unpaid: last.unpaid + 1}
	return nil
}

// forget drops what nobody has to know any more. With mu held.
func (x *soloCalls) forget(now moment) {
	if x.of == nil {
		x.of = make(map[Fingerprint]soloCall)
	}
	maps.DeleteFunc(x.of, func(_ Fingerprint, s soloCall) bool {
		return s.unpaid == 0 && now.mono-s.at >= int64(aloneEvery)
	})
}

// payCalls enters calls that were made alone into the ledger of the fleet, once the store is back.
func (n *Conn) payCalls(cl *Client, of Fingerprint) {
	unpaid := n.cache.solo.take(of)
	for unpaid > 0 {
		if _, err := n.cache.shared.EnterCall(of, math.MaxInt32, cl.window()); err != nil {
			break
		}
		unpaid--
	}
	n.cache.solo.giveBack(of, unpaid)
}

// take are the calls of a ledger that are not paid; whoever takes them pays them.
func (x *soloCalls) take(of Fingerprint) (unpaid int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	last, found := x.of[of]
	if found {
		x.of[of] = soloCall{at: last.at}
	}
	return last.unpaid
}

// giveBack is for what could not be paid.
func (x *soloCalls) giveBack(of Fingerprint, unpaid int) {
	if unpaid == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	last := x.of[of]
	last.unpaid += unpaid
	x.of[of] = last
}
