package boltstore

import (
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
)

// ConsumeNonce reports whether an id is used the first time, and remembers it until
// the time given, over restarts as well. Ids are kept in clear: they must tell nothing.
// Nothing is written for one that was used.
func (b *Store) ConsumeNonce(id string, until time.Time) (first bool, _ error) {
	err := b.withTokens(true, func(tx *bolt.Tx) error {
		spent, err := tx.CreateBucketIfNotExists([]byte(bucketSpent))
		if err != nil {
			return err
		}
		if err := dropPast(spent, time.Now()); err != nil {
			return err
		}
		if spent.Get([]byte(id)) != nil {
			return errUnchanged
		}
		return spent.Put([]byte(id), []byte(sealed.UTC(until).Format(time.RFC3339)))
	})
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	return err == nil, err
}

// errUnchanged ends a transaction in which there is nothing to write: what bbolt commits costs
// the disk several pages, whatever is in it.
var errUnchanged = errors.New("nothing to write")

// ReturnNonce takes back what ConsumeNonce has noted, for somebody who could not do what
// the id was good for.
func (b *Store) ReturnNonce(id string) error {
	err := b.withTokens(true, func(tx *bolt.Tx) error {
		spent := tx.Bucket([]byte(bucketSpent))
		if spent == nil || spent.Get([]byte(id)) == nil {
			return errUnchanged
		}
		return spent.Delete([]byte(id))
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// NonceConsumed reports whether ConsumeNonce has seen the id, and remembers it still.
func (b *Store) NonceConsumed(id string) (bool, error) {
	return fromTokens(b, func(tx *bolt.Tx) bool {
		spent := tx.Bucket([]byte(bucketSpent))
		return spent != nil && spent.Get([]byte(id)) != nil
	})
}

// dropPast drops the ids whose time is over, and what cannot be read as a time: nothing
// would ever drop that. There are as many as invitations that are out, so all are looked at.
func dropPast(spent *bolt.Bucket, now time.Time) error {
	var errs []error
	cursor := spent.Cursor()
	for id, until := cursor.First(); id != nil; id, until = cursor.Next() {
		if t, err := time.Parse(time.RFC3339, string(until)); err != nil || t.Before(now) {
			errs = append(errs, cursor.Delete())
		}
	}
	return errors.Join(errs...)
}
