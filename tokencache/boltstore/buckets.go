package boltstore

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// account returns the value at bucket/client/account, in mapped memory.
func account(tx *bolt.Tx, bucket string, key tokencache.Key) []byte {
	if b := clientBucket(tx, bucket, key.Client); b != nil {
		return b.Get([]byte(key.Account))
	}
	return nil
}

// clientBucket is the bucket of a client below another one, nil if either is missing.
func clientBucket(tx *bolt.Tx, bucket, client string) *bolt.Bucket {
	if b := tx.Bucket([]byte(bucket)); b != nil {
		return b.Bucket([]byte(client))
	}
	return nil
}

// putAccount packs v and puts it at bucket/client/account.
func putAccount(tx *bolt.Tx, bucket string, key tokencache.Key, v any) error {
	return putAt(tx, bucket, key.Client, key.Account, v)
}

// putAt packs v and puts it at bucket/client/name. The checksum covers that place.
func putAt(tx *bolt.Tx, bucket, client, name string, v any) error {
	value, err := sealed.Pack(v, bucket, client, name)
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return err
	}
	if b, err = b.CreateBucketIfNotExists([]byte(client)); err != nil {
		return err
	}
	return b.Put([]byte(name), value)
}

// eachAccount calls fn for each value at bucket/client/account.
func eachAccount(tx *bolt.Tx, bucket string, fn func(key tokencache.Key, value []byte) error) error {
	clients := tx.Bucket([]byte(bucket))
	if clients == nil {
		return nil
	}
	return clients.ForEachBucket(func(client []byte) error {
		return clients.Bucket(client).ForEach(func(account, value []byte) error {
			return fn(tokencache.Key{Client: string(client), Account: string(account)}, value)
		})
	})
}

// sweepSome is how many leftovers are looked at each time that one may be added.
const sweepSome = 16

// someAfter are some of the names in a bucket, from this one on and then from the first, each once.
// Who sweeps a bucket begins at a name whose place is as good as random, so that all have their turn.
func someAfter(bucket *bolt.Bucket, name string) (some []string) {
	cursor := bucket.Cursor()
	found, _ := cursor.Seek([]byte(name))
	for len(some) < sweepSome {
		if found == nil {
			found, _ = cursor.First()
		}
		if found == nil || len(some) > 0 && string(found) == some[0] {
			break
		}
		some = append(some, string(found))
		found, _ = cursor.Next()
	}
	return some
}

// checkKey refuses what bbolt cannot take as the name of a bucket or a key.
func checkKey(key tokencache.Key) error {
	if key.Client == "" || key.Account == "" || len(key.Client)+len(key.Account) > bolt.MaxKeySize {
		return fmt.Errorf("connection %.200q: client and account must have a name that is not too long",
			key.String())
	}
	return nil
}
