package boltstore_test

import (
	"bytes"
	"errors"
	"math/rand/v2"

	bolt "go.etcd.io/bbolt"
)

func flipBit(value []byte, at int) []byte {
	value = bytes.Clone(value)
	value[at] ^= 1
	return value
}

// keyDamages are what can happen to the records that grants need besides their own.
var keyDamages = map[string]struct {
	do   func(tx *bolt.Tx) error
	says string
}{
	"a flipped bit in the key": {says: `data key of client "main" is missing or damaged`, do: func(tx *bolt.Tx) error {
		keys := tx.Bucket([]byte("keys"))
		return keys.Put([]byte("main"), flipBit(keys.Get([]byte("main")), 40))
	}},
	"a flipped bit in the key's name": {says: `data key of client "main" is missing`, do: func(tx *bolt.Tx) error {
		keys := tx.Bucket([]byte("keys"))
		return errors.Join(keys.Put([]byte("mail"), keys.Get([]byte("main"))), keys.Delete([]byte("main")))
	}},
	"the key is gone": {says: `data key of client "main" is missing`, do: func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("keys")).Delete([]byte("main"))
	}},
	"all keys are gone": {says: `data key of client "main" is missing`, do: func(tx *bolt.Tx) error {
		return tx.DeleteBucket([]byte("keys"))
	}},
	"the key is another": {says: ` of client "main" is missing or damaged, so that 2 of its grants`, do: func(tx *bolt.Tx) error {
		keys := tx.Bucket([]byte("keys"))
		ring := bytes.Replace(keys.Get([]byte("main")), []byte(`{"id":"`), []byte(`{"id":"0`), 1)
		return keys.Put([]byte("main"), resum(ring, "keys", "main"))
	}},
}

func garbage(n int) []byte {
	b := make([]byte, n)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < n; i++ {
		b[i] = byte(r.Uint32())
	}
	return b
}
