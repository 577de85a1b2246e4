package boltstore

import (
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"
)

// ConsumeNonce reports whether an id is used the first time, and remembers it until
// the time given, over restarts as well. Ids are kept in clear: they must tell nothing.
func (b *Store) ConsumeNonce(id string, until time.Time) (first bool, err error) {
	err = b.withTokens(true, func(tx *bolt.Tx) error {
		spent, err := tx.CreateBucketIfNotExists([]byte(bucketSpent))
		if err != nil {
			return err
		}
		if err := dropPast(spent, time.Now()); err != nil {
			return err
		}
		if first = spent.Get([]byte(id)) == nil; !first {
			return nil
		}
		return spent.Put([]byte(id), []byte(utc(until).Format(time.RFC3339)))
	})
	return first && err == nil, err
}

// ReturnNonce takes back what ConsumeNonce has noted, for somebody who could not do what
// the id was good for.
func (b *Store) ReturnNonce(id string) error {
	return b.withTokens(true, func(tx *bolt.Tx) error {
		spent := tx.Bucket([]byte(bucketSpent))
		if spent == nil {
			return nil
		}
		return spent.Delete([]byte(id))
	})
}

// NonceConsumed reports whether ConsumeNonce has seen the id, and remembers it still.
func (b *Store) NonceConsumed(id string) (used bool, err error) {
	err = b.withTokens(false, func(tx *bolt.Tx) error {
		spent := tx.Bucket([]byte(bucketSpent))
		used = spent != nil && spent.Get([]byte(id)) != nil
		return nil
	})
	return used, err
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
