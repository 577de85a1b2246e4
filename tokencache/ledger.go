package tokencache

import (
	"slices"
	"sync"
	"time"
)

// ledger holds when the token calls of a grant were made, as mono, oldest
// first. A call stands in it from before it is sent, and once its answer is
// there, at the time of the answer: the server counted it at some time between.
type ledger []int64

func (l *ledger) add(now int64) { *l = append(*l, now) }

// strike takes back the call entered at a time, if it stands there.
func (l *ledger) strike(at int64) (found bool) {
	i := slices.Index(*l, at)
	if i >= 0 {
		*l = slices.Delete(*l, i, i+1)
	}
	return i >= 0
}

// trim forgets what has left the window.
func (l *ledger) trim(now int64, window time.Duration) {
	if *l = slices.Delete(*l, 0, len(*l)-l.within(now, window)); len(*l) == 0 {
		*l = nil
	}
}

// within is how many calls are in the window.
func (l ledger) within(now int64, window time.Duration) int {
	old := 0
	for old < len(l) && now-l[old] >= int64(window) {
		old++
	}
	return len(l) - old
}

func (l ledger) sort() { slices.Sort(l) }

// wait is how long it takes until one more call fits into the budget; 0 = it does.
func (l ledger) wait(now int64, budget int, window time.Duration) time.Duration {
	if len(l) < budget {
		return 0
	}
	return max(0, time.Duration(l[len(l)-budget]+int64(window)-now))
}

// sharedLedger is the ledger of a grant. Connections that have the same grant share it, as
// they share what Zoho counts, and so do all of a client that have no refresh token; it
// outlives their changing to another grant.
type sharedLedger struct {
	id     Fingerprint // by which it is stored: makeLedgerID
	mu     sync.Mutex
	ledger ledger
	read   int64  // Calls.Read of what the store had, or readHere; 0 = what that has is not known
	window uint32 // the longest that anybody counts by, in seconds: there are many ledgers
	asked  uint32 // mono when somebody got hold of it last, in seconds
}

// readHere says that what a store had which is not shared is in a ledger.
const readHere = -1

// identity is the ledger's id, zero for that of no grant.
func (s *sharedLedger) identity() Fingerprint {
	if s == nil {
		return Fingerprint{}
	}
	return s.id
}

// trim forgets what counts for nobody any more. With mu held.
func (s *sharedLedger) trim(now int64, cl *Client) {
	s.window = max(s.window, uint32((cl.window()+time.Second-1)/time.Second))
	s.ledger.trim(now, s.longest())
}

// longest is the longest window that anybody counts by. With mu held.
func (s *sharedLedger) longest() time.Duration { return time.Duration(s.window) * time.Second }

// enter writes a call into the ledger if it fits into the budget; otherwise it says how
// long that takes.
func (s *sharedLedger) enter(now int64, cl *Client, budget int) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trim(now, cl)
	if wait = s.ledger.wait(now, budget, cl.window()); wait == 0 {
		s.ledger.add(now)
	}
	return wait
}

// wait is how long it takes until one more call fits into the budget; 0 = it does.
func (s *sharedLedger) wait(now int64, cl *Client, budget int) time.Duration {
	if s == nil { // no grant
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger.wait(now, budget, cl.window())
}

// complete moves a call to when its answer came, or strikes it out if it was no token.
func (s *sharedLedger) complete(at, now int64, counts bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.ledger.strike(at); counts && (found || s.read <= 0) { // otherwise it came back with what the store has
		s.ledger.add(now)
	}
}

// add enters a call that was made elsewhere.
func (s *sharedLedger) add(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger.add(now)
}

// used is how many calls are in the window, and when the last one was.
func (s *sharedLedger) used(now int64, cl *Client) (calls int, last int64) {
	if s == nil {
		return 0, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trim(now, cl)
	if n := len(s.ledger); n > 0 {
		last = s.ledger[n-1]
	}
	return s.ledger.within(now, cl.window()), last
}

// restore takes what the store has, once. Times that the wall clock has not reached
// yet count as now.
func (s *sharedLedger) restore(calls []time.Time, now moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == 0 {
		s.read = readHere
		s.take(calls, now)
	}
}

// take adds what the store has. With mu held.
func (s *sharedLedger) take(calls []time.Time, now moment) {
	for _, t := range calls {
		s.ledger.add(now.mono - max(0, now.wall-t.UnixNano()))
	}
	s.ledger.sort()
}

// replace takes what the store of a fleet has.
func (s *sharedLedger) replace(calls Calls, now moment) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renew(calls, now)
}

// longestReading is how long an answer of a shared store can be under way.
const longestReading = int64(5 * time.Second / time.Microsecond)

// renew takes what the store of a fleet has instead of what is known, unless that was read later:
// several connections read a ledger at once, and the answers do not arrive in order. A store whose
// clock is further behind is another one, as after a failover. With mu held.
func (s *sharedLedger) renew(calls Calls, now moment) (taken bool) {
	if early := s.read - calls.Read; 0 < early && early < longestReading {
		return false
	}
	s.read, s.ledger = calls.Read, nil
	s.take(calls.Times, now)
	return true
}

// adopt takes what the ledger of a fleet holds, where a call was entered at a time unless there was
// no room: then it says how long one takes to fit.
func (s *sharedLedger) adopt(e Entry, at, now moment, cl *Client, budget int) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.renew(e.Calls, now)
	switch {
	case e.ID == "":
		return s.ledger.wait(now.mono, budget, cl.window())
	case taken:
		s.ledger = append(s.ledger[:max(0, len(s.ledger)-1)], at.mono)
	}
	return 0
}

// times is the ledger as the store keeps it.
func (s *sharedLedger) times(now moment) (calls []time.Time) {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.ledger {
		calls = append(calls, now.wallAt(at))
	}
	return calls
}

// ledgers has those of all grants that were in use, by their ids.
type ledgers struct {
	mu   sync.Mutex
	byID map[Fingerprint]*sharedLedger
}

// of is a grant's ledger by its id, nil for none. For somebody who only looks, a new one is
// not kept.
func (l *ledgers) of(id Fingerprint, looks bool, now int64) *sharedLedger {
	if id == (Fingerprint{}) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.byID[id]
	if s == nil {
		s = &sharedLedger{id: id}
		if !looks {
			l.byID[id] = s
		}
	}
	s.mu.Lock()
	s.asked = uint32(now / int64(time.Second))
	s.mu.Unlock()
	return s
}
