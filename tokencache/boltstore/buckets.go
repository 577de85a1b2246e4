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

// checkKey refuses what bbolt cannot take as the name of a bucket or a key.
func checkKey(key tokencache.Key) error {
	if key.Client == "" || key.Account == "" || len(key.Client)+len(key.Account) > bolt.MaxKeySize {
		return fmt.Errorf("connection %.200q: client and account must have a name, and not an endless one",
			key.String())
	}
	return nil
}
