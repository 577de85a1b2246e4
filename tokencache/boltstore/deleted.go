package boltstore

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A grant that was deleted here, and revoked at Zoho maybe, must not come back unnoticed
// with a backup of grants.db. So its account stays in the bucket "deleted" of tokens.db
// until another grant is stored for it. Nothing is done about one that has come back, since
// an operator may have meant it: doctor names it.

// Returned lists connections whose grant is stored although it was deleted
// here: an old grants.db was put back. Saving or deleting the grant settles it.
func (b *Store) Returned() []tokencache.Key {
	b.openOnce()
	return b.returned()
}

// announceReturned has the log name them when a file was put in place while the store is open. Later,
// Concerns does.
func (b *Store) announceReturned() {
	if returned := b.returned(); len(returned) > 0 {
		b.announce(returnedText(returned))
	}
}

func (b *Store) returned() []tokencache.Key {
	var deleted []tokencache.Key
	_ = b.withTokens(false, func(tx *bolt.Tx) error {
		clients := tx.Bucket([]byte(bucketDeleted))
		if clients == nil {
			return nil
		}
		return clients.ForEachBucket(func(client []byte) error {
			return clients.Bucket(client).ForEach(func(account, _ []byte) error {
				deleted = append(deleted, tokencache.Key{Client: string(client), Account: string(account)})
				return nil
			})
		})
	})
	deleted = slices.DeleteFunc(deleted, func(k tokencache.Key) bool { return !b.index.has(k) })
	slices.SortFunc(deleted, func(x, y tokencache.Key) int {
		return cmp.Or(strings.Compare(x.Client, y.Client), strings.Compare(x.Account, y.Account))
	})
	return deleted
}

func returnedText(keys []tokencache.Key) string {
	return "grants that were deleted here are stored again: " + nameSome(keys)
}

// nameSome names connections, some of them: a message is to be read.
func nameSome(keys []tokencache.Key) string {
	const some = 10
	var names []string
	for _, key := range keys[:min(len(keys), some)] {
		names = append(names, key.String())
	}
	return words.Some(names, some, len(keys))
}

// rememberDeleted notes in tokens.db that the grant was deleted, and drops the
// access token that came from it. Ledger and generation stay: Zoho goes on counting,
// and callers tell the tokens of a connection by numbers that only grow.
func (b *Store) rememberDeleted(key tokencache.Key) {
	b.note(func(tx *bolt.Tx) error {
		err := putAccount(tx, bucketDeleted, key, sealed.UTC(time.Now()))
		var w sealed.Record
		value := account(tx, bucketTokens, key)
		if value == nil {
			return err
		}
		if sealed.Unpack(value, &w, bucketTokens, key.Client, key.Account) != nil {
			return errors.Join(err, clientBucket(tx, bucketTokens, key.Client).Delete([]byte(key.Account)))
		}
		w.Token = nil
		return errors.Join(err, putAccount(tx, bucketTokens, key, w))
	})
}

// rememberSaved forgets that the grants were ever deleted.
func (b *Store) rememberSaved(keys []tokencache.Key) {
	b.note(func(tx *bolt.Tx) error {
		for _, key := range keys {
			if deleted := clientBucket(tx, bucketDeleted, key.Client); deleted != nil {
				if err := deleted.Delete([]byte(key.Account)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
