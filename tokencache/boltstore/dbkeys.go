package boltstore

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// dataKey returns a data key; with secrets that do not open it, a keyError. One that was
// opened is remembered with the list of secrets that did it. With another list it is
// opened anew: a secret that was taken out of the configuration opens nothing any more.
func (f *dbFile) dataKey(tx *bolt.Tx, name keyName, secrets [][]byte) (cachedKey, error) {
	d := digest(secrets)
	if c, ok := f.keys[name]; ok && c.secrets == d {
		return c, nil
	}
	ring, err := findRing(tx, name)
	if err != nil {
		return cachedKey{}, err
	}
	key, err := ring.open(f.name, name.client, secrets)
	if err != nil {
		return cachedKey{}, err
	}
	c := cachedKey{dataKey: key, secrets: d, complete: ring.complete(secrets)}
	f.made[name] = c
	return c, nil
}

// writeDataKey is dataKey in a transaction that writes, for the key that seals:
// missing wraps are added. With anew one that cannot be had is replaced: what it has
// sealed is lost then, unless its ring was retired before.
func (f *dbFile) writeDataKey(tx *bolt.Tx, client string, secrets [][]byte, anew bool) (cachedKey, error) {
	name := keyName{client: client}
	c, err := f.dataKey(tx, name, secrets)
	if err == nil {
		return c, f.wrap(tx, name, secrets)
	}
	if !anew {
		return cachedKey{}, err
	}
	ring, key, err := newDataKey(f.name, client, secrets)
	if err != nil {
		return cachedKey{}, err
	}
	c = cachedKey{dataKey: key, secrets: digest(secrets), complete: true}
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
	if _, err := ring.add(c.dataKey, f.name, name.client, secrets); err != nil {
		return err
	}
	c.complete = true
	f.made[name] = c
	if current, err := readRing(tx, name.client); err == nil && current.ID == ring.ID {
		return putRing(tx, name.client, ring)
	}
	return retire(tx, name.client, ring)
}

// errNoRing: nothing is sealed for the client yet, or its ring was lost. Which of the two it is
// is told by whether there are grants.
var errNoRing = errors.New("no data key")

// findRing is the ring of a data key, wherever it stands.
func findRing(tx *bolt.Tx, name keyName) (*keyRing, error) {
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
func readRing(tx *bolt.Tx, client string) (*keyRing, error) {
	b := tx.Bucket([]byte(bucketKeys))
	if b == nil || b.Get([]byte(client)) == nil {
		return nil, errNoRing
	}
	return unpackRing(b.Get([]byte(client)), bucketKeys, client)
}

func unpackRing(value []byte, bucket, client string, id ...string) (*keyRing, error) {
	ring := new(keyRing)
	if err := unpack(value, ring, append([]string{bucket, client}, id...)...); err != nil {
		return nil, fmt.Errorf("data key of client %q: %w", client, err)
	}
	return ring, nil
}

// putRing makes a ring the one that seals for a client.
func putRing(tx *bolt.Tx, client string, ring *keyRing) error {
	value, err := pack(ring, bucketKeys, client)
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
func retire(tx *bolt.Tx, client string, ring *keyRing) error {
	return putAt(tx, bucketRetired, client, ring.ID, ring)
}
