package boltstore

import (
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// The ledgers of grants in tokens.db. They have a bucket of their own, by fingerprint, because
// Zoho counts by the grant: an account that gets another one leaves its ledger behind, and
// whoever has the old one, or gets it back, has to go on counting.

// LoadLedger is the stored ledger of a grant. One that cannot be read counts as none; Warnings
// tells.
func (b *Store) LoadLedger(of tokencache.Fingerprint) (tokencache.Calls, error) {
	times, err := fromTokens(b, func(tx *bolt.Tx) []time.Time { return b.ledger(tx, of) })
	return tokencache.Calls{Times: times}, err
}

// SaveLedger stores the ledger of a grant that has come in, and drops some of those that
// nobody has called by for long, or each consent would leave one behind.
func (b *Store) SaveLedger(of tokencache.Fingerprint, calls []time.Time, now time.Time) error {
	return b.withTokens(true, func(tx *bolt.Tx) error {
		return errors.Join(putLedger(tx, of, calls), sweepLedgers(tx, of, now.Add(-ledgerLife)))
	})
}

const ledgerLife = 7 * 24 * time.Hour // well over a window: the clock may be set back

// sweepLedgers drops the old ones among some of the ledgers after that of a grant.
func sweepLedgers(tx *bolt.Tx, after tokencache.Fingerprint, before time.Time) error {
	ledgers := tx.Bucket([]byte(bucketLedgers))
	if ledgers == nil {
		return nil
	}
	var errs []error
	for _, grant := range someAfter(ledgers, after.String()) {
		if newestCall(ledgers.Get([]byte(grant)), grant).Before(before) {
			errs = append(errs, ledgers.Delete([]byte(grant)))
		}
	}
	return errors.Join(errs...)
}

// newestCall is when a stored ledger was last called by; what cannot be read counts as none.
func newestCall(value []byte, of string) (newest time.Time) {
	var calls []time.Time
	if sealed.Unpack(value, &calls, bucketLedgers, of) == nil {
		for _, t := range calls {
			if t.After(newest) {
				newest = t
			}
		}
	}
	return newest
}

// ledger reads the ledger of a grant in a transaction; none and an empty one are the same.
func (b *Store) ledger(tx *bolt.Tx, of tokencache.Fingerprint) (calls []time.Time) {
	ledgers := tx.Bucket([]byte(bucketLedgers))
	if ledgers == nil {
		return nil
	}
	value := ledgers.Get([]byte(of.String()))
	if value == nil {
		return nil
	}
	if sealed.Unpack(value, &calls, bucketLedgers, of.String()) != nil {
		b.warnings.Warn("%s: the ledger of a grant is damaged and counts as none", b.tokens.path)
		return nil
	}
	return calls
}

// putLedger writes the ledger of a grant; an empty one is left out.
func putLedger(tx *bolt.Tx, of tokencache.Fingerprint, calls []time.Time) error {
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
		stored[i] = sealed.UTC(calls[i])
	}
	value, err := sealed.Pack(stored, bucketLedgers, of.String())
	if err != nil {
		return err
	}
	return ledgers.Put(key, value)
}
