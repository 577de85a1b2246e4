package tokencache

import (
	"errors"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

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

// calls is the stored ledger of a grant. One that cannot be read counts as none; Warnings
// tells.
func (b *Bolt) calls(of Fingerprint) (calls []time.Time, err error) {
	err = b.withTokens(false, func(tx *bolt.Tx) error {
		calls = b.ledger(tx, of)
		return nil
	})
	return calls, err
}

// saveCalls stores the ledger of a grant that has come in, and drops some of those that
// nobody has called by for long, or each consent would leave one behind.
func (b *Bolt) saveCalls(of Fingerprint, calls []time.Time, now time.Time) error {
	return b.withTokens(true, func(tx *bolt.Tx) error {
		return errors.Join(putLedger(tx, of, calls), sweepLedgers(tx, of, now.Add(-ledgerLife)))
	})
}

const (
	ledgerLife = 7 * 24 * time.Hour // well over a window: the clock may be set back
	sweepSome  = 16                 // ledgers, at each consent
)

// sweepLedgers looks at some of the ledgers after that of a grant, whose place among them
// is as good as random.
func sweepLedgers(tx *bolt.Tx, after Fingerprint, before time.Time) error {
	ledgers := tx.Bucket([]byte(bucketLedgers))
	if ledgers == nil {
		return nil
	}
	var old [][]byte
	cursor := ledgers.Cursor()
	key, _ := cursor.Seek([]byte(after.String()))
	for range sweepSome {
		if key == nil {
			key, _ = cursor.First()
		}
		if key == nil {
			break
		}
		if newest := newestCall(ledgers.Get(key), string(key)); newest.Before(before) {
			old = append(old, key)
		}
		key, _ = cursor.Next()
	}
	var errs []error
	for _, key := range old {
		errs = append(errs, ledgers.Delete(key))
	}
	return errors.Join(errs...)
}

// newestCall is when a stored ledger was last called by; what cannot be read counts as none.
func newestCall(value []byte, of string) (newest time.Time) {
	var calls []time.Time
	if unpack(value, &calls, bucketLedgers, of) == nil {
		for _, t := range calls {
			if t.After(newest) {
				newest = t
			}
		}
	}
	return newest
}

func (b *Bolt) ledger(tx *bolt.Tx, of Fingerprint) (calls []time.Time) {
	ledgers := tx.Bucket([]byte(bucketLedgers))
	if ledgers == nil {
		return nil
	}
	value := ledgers.Get([]byte(of.String()))
	if value == nil {
		return nil
	}
	if unpack(value, &calls, bucketLedgers, of.String()) != nil {
		b.warn("%s: the ledger of a grant is damaged and counts as none", b.tokens.path)
		return nil
	}
	return calls
}

// putLedger writes the ledger of a grant; an empty one is left out.
func putLedger(tx *bolt.Tx, of Fingerprint, calls []time.Time) error {
	ledgers, err := tx.CreateBucketIfNotExists([]byte(bucketLedgers))
	if err != nil {
		return err
	}
	key := []byte(of.String())
	if len(calls) == 0 {
		return ledgers.Delete(key)
	}
	stored := make([]time.Time, len(calls))
	for i := range calls {
		stored[i] = utc(calls[i])
	}
	value, err := pack(stored, bucketLedgers, of.String())
	if err != nil {
		return err
	}
	return ledgers.Put(key, value)
}
