package boltstore

import (
	"crypto/sha256"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
)

// keyName says which data key of a client: the one that seals, or with an id
// one that a grant was sealed by.
type keyName struct{ client, id string }

// cachedKey is an opened data key and the list of secrets that opened it, so
// that a key is not derived at each call, and not given for another secret. It does not change.
type cachedKey struct {
	*sealed.DataKey
	secrets  [sha256.Size]byte
	complete bool // each secret has a wrap
}

// dataKey returns a data key; with secrets that do not open it, a sealed.KeyError. One that was
// opened is remembered with the list of secrets that did it. With another list it is
// opened anew: a secret that was taken out of the configuration opens nothing any more.
func (f *dbFile) dataKey(tx *bolt.Tx, name keyName, secrets [][]byte) (*cachedKey, error) {
	d := sealed.Digest(secrets)
	c, ok := f.made[name]
	if !ok {
		c, ok = f.keys[name]
	}
	if ok && c.secrets == d {
		return c, nil
	}
	ring, err := findRing(tx, name)
	if err != nil {
		return nil, err
	}
	key, err := ring.Open(f.name, name.client, secrets)
	if err != nil {
		return nil, err
	}
	c = &cachedKey{DataKey: key, secrets: d, complete: ring.Complete(secrets)}
	f.made[name] = c
	return c, nil
}

// writeDataKey is dataKey in a transaction that writes, for the key that seals:
// missing wraps are added. With anew one that cannot be had is replaced: what it has
// sealed is lost then, unless its ring was retired before.
func (f *dbFile) writeDataKey(tx *bolt.Tx, client string, secrets [][]byte, anew bool) (*cachedKey, error) {
	name := keyName{client: client}
	c, err := f.dataKey(tx, name, secrets)
	if err == nil {
		return c, f.wrap(tx, name, secrets)
	}
	if !anew {
		return nil, err
	}
	ring, key, err := sealed.NewDataKey(f.name, client, secrets)
	if err != nil {
		return nil, err
	}
	c = &cachedKey{DataKey: key, secrets: sealed.Digest(secrets), complete: true}
	f.made[name] = c
	return c, putRing(tx, client, ring)
}

// wrap adds the wraps that a data key lacks.
func (f *dbFile) wrap(tx *bolt.Tx, name keyName, secrets [][]byte) error {
	c, err := f.dataKey(tx, name, secrets)
	if err != nil || c.complete {
		return err
	}
	ring, err := findRing(tx, name)
	if err != nil {
		return err
	}
	if _, err := ring.Add(c.DataKey, f.name, name.client, secrets); err != nil {
		return err
	}
	whole := *c
	whole.complete = true
	f.made[name] = &whole
	if current, err := readRing(tx, name.client); err == nil && current.ID == ring.ID {
		return putRing(tx, name.client, ring)
	}
	return retire(tx, name.client, ring)
}

// errNoRing: nothing is sealed for the client yet, or its ring was lost. Which of the two it is
// is told by whether there are grants.
var errNoRing = errors.New("no data key")

// findRing is the ring of a data key, wherever it stands.
func findRing(tx *bolt.Tx, name keyName) (*sealed.KeyRing, error) {
	ring, err := readRing(tx, name.client)
	if name.id == "" || err == nil && ring.ID == name.id {
		return ring, err
	}
	if old := clientBucket(tx, bucketRetired, name.client); old != nil && old.Get([]byte(name.id)) != nil {
		return unpackRing(old.Get([]byte(name.id)), bucketRetired, name.client, name.id)
	}
	if err == nil {
		err = errNoRing
	}
	return nil, err
}

// readRing is the ring of the data key that seals for a client now.
func readRing(tx *bolt.Tx, client string) (*sealed.KeyRing, error) {
	b := tx.Bucket([]byte(bucketKeys))
	if b == nil || b.Get([]byte(client)) == nil {
		return nil, errNoRing
	}
	return unpackRing(b.Get([]byte(client)), bucketKeys, client)
}

func unpackRing(value []byte, bucket, client string, id ...string) (*sealed.KeyRing, error) {
	ring := new(sealed.KeyRing)
	if err := sealed.Unpack(value, ring, append([]string{bucket, client}, id...)...); err != nil {
		return nil, fmt.Errorf("data key of client %q: %w", client, err)
	}
	return ring, nil
}

// putRing makes a ring the one that seals for a client.
func putRing(tx *bolt.Tx, client string, ring *sealed.KeyRing) error {
	value, err := sealed.Pack(ring, bucketKeys, client)
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists([]byte(bucketKeys))
	if err != nil {
		return err
	}
	return b.Put([]byte(client), value)
}

// retire puts a ring among those of before.
func retire(tx *bolt.Tx, client string, ring *sealed.KeyRing) error {
	return putAt(tx, bucketRetired, client, ring.ID, ring)
}
