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

// strike takes back the call entered at a time.
func (l *ledger) strike(at int64) {
	if i := slices.Index(*l, at); i >= 0 {
		*l = slices.Delete(*l, i, i+1)
	}
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

// book is the ledger of a grant. Connections that have the same grant share it, as
// they share what Zoho counts; it outlives their changing to another grant.
type book struct {
	mu     sync.Mutex
	ledger ledger
	window time.Duration // the longest that anybody counts by
	known  bool          // what the store has is in it
}

// trim forgets what counts for nobody any more. With mu held.
func (b *book) trim(now int64, cl *Client) {
	b.window = max(b.window, cl.window())
	b.ledger.trim(now, b.window)
}

// enter writes a call into the book if it fits into the budget; otherwise it tells how
// long that takes.
func (b *book) enter(now int64, cl *Client) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trim(now, cl)
	if wait = b.ledger.wait(now, cl.budget(), cl.window()); wait == 0 {
		b.ledger.add(now)
	}
	return wait
}

// wait is how long it takes until one more call fits into the budget; 0 = it does.
func (b *book) wait(now int64, cl *Client) time.Duration {
	if b == nil { // no grant
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.wait(now, cl.budget(), cl.window())
}

// settle moves a call to when its answer came, or strikes it out if it was no token.
func (b *book) settle(at, now int64, counts bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ledger.strike(at)
	if counts {
		b.ledger.add(now)
	}
}

// add enters a call that was made elsewhere.
func (b *book) add(now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ledger.add(now)
}

// used is how many calls are in the window, and when the last one was.
func (b *book) used(now int64, cl *Client) (calls int, last int64) {
	if b == nil {
		return 0, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trim(now, cl)
	if n := len(b.ledger); n > 0 {
		last = b.ledger[n-1]
	}
	return b.ledger.within(now, cl.window()), last
}

// restore takes what the store has, once. Times that the wall clock has not reached
// yet count as now.
func (b *book) restore(calls []time.Time, now moment) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known {
		return
	}
	b.known = true
	for _, t := range calls {
		b.ledger.add(now.mono - max(0, now.wall-t.UnixNano()))
	}
	b.ledger.sort()
}

// times is the ledger as the store keeps it.
func (b *book) times(now moment) (calls []time.Time) {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, at := range b.ledger {
		calls = append(calls, now.wallAt(at))
	}
	return calls
}

// library holds the books of all grants that were in use.
type library struct {
	mu    sync.Mutex
	books map[Fingerprint]*book
}

// book is that of a grant, nil for none. For somebody who only looks, a new one is not
// kept.
func (l *library) book(of Fingerprint, looks bool) *book {
	if of == (Fingerprint{}) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[of]
	if b == nil {
		b = &book{}
		if !looks {
			l.books[of] = b
		}
	}
	return b
}
