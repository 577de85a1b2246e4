package boltstore

import (
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A data key that no secret opens is never thrown away while grants are sealed
// by it: the secret may turn up. If one of those grants is replaced, the client
// gets another data key, and the ring of this one moves to the bucket "retired",
// where it is found by its id. A version that does not know the bucket says of
// the grants that stayed behind that they are sealed by another key, and leaves
// them alone.

// giveUpKey makes way for another data key of a client, for the sake of one
// grant. It refuses where others would lose a key that is damaged, and not only
// unknown.
func (f *dbFile) giveUpKey(tx *bolt.Tx, key tokencache.Key, secrets [][]byte) error {
	_, err := f.dataKey(tx, keyName{client: key.Client}, secrets)
	if err == nil || alone(tx, key) {
		return nil
	}
	if !errors.Is(err, tokencache.ErrWrongKey) {
		return err
	}
	ring, err := readRing(tx, key.Client)
	if err != nil {
		return err
	}
	return retire(tx, key.Client, ring)
}

// alone reports whether a client has no grant but this one.
func alone(tx *bolt.Tx, key tokencache.Key) bool {
	grants := clientBucket(tx, bucketGrants, key.Client)
	if grants == nil {
		return true
	}
	c := grants.Cursor()
	for name, _ := c.First(); name != nil; name, _ = c.Next() {
		if string(name) != key.Account {
			return false
		}
	}
	return true
}

// dropRetired drops the data keys of before that no grant of the client is
// sealed by any more.
func dropRetired(tx *bolt.Tx, client string) error {
	retired := clientBucket(tx, bucketRetired, client)
	if retired == nil {
		return nil
	}
	used := make(map[string]bool)
	if grants := clientBucket(tx, bucketGrants, client); grants != nil {
		known := true
		_ = grants.ForEach(func(account, value []byte) error {
			var w sealed.Grant
			known = known && sealed.Unpack(value, &w, bucketGrants, client, string(account)) == nil
			used[w.Grant.Key] = true
			return nil
		})
		if !known { // a damaged record may be mended, and names its key then
			return nil
		}
	}
	var unused [][]byte
	_ = retired.ForEach(func(id, _ []byte) error {
		if !used[string(id)] {
			unused = append(unused, id)
		}
		return nil
	})
	for _, id := range unused {
		if err := retired.Delete(id); err != nil {
			return err
		}
	}
	if id, _ := retired.Cursor().First(); id != nil {
		return nil
	}
	return tx.Bucket([]byte(bucketRetired)).DeleteBucket([]byte(client))
}
