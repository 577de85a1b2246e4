package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/durable"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// How wraps by keys that nobody configures any more are got rid of.
//
// bbolt writes no page in place: what a transaction replaces stays in the file until its page is
// used again. So grants.db is written anew, as a whole, into a file beside it, which then takes
// its name; and so is the version before, which would hold the old wraps otherwise. If the process
// ends in between, grants.db is either the file of before or the new one, and Rekey is
// carried out once more. tokens.db is changed where it is: its tokens end within the hour.

// Rekey has all data keys wrapped by the secrets that of gives for their client, and by no
// others. Grants that are sealed by a data key of before, and open, are sealed anew by the one
// of today. What the secrets do not open stays as it is. A large store takes a while, so whoever asks waits for
// longer; a disk that hangs or refuses is found out before.
func (b *Store) Rekey(of func(client string) [][]byte) (sealed.Rekeyed, error) {
	if err := b.TryWrite(); err != nil {
		return sealed.Rekeyed{}, err
	}
	return ask(&b.grants, openPatience, func() (sealed.Rekeyed, error) { return b.rekey(of) })
}

// rekey is Rekey in the turn of grants.db.
func (b *Store) rekey(of func(client string) [][]byte) (sealed.Rekeyed, error) {
	var done sealed.Rekeyed
	f := &b.grants
	if err := b.readyGrants(); err != nil {
		return done, err
	}
	if faults := b.index.unsound(); len(faults) > 0 {
		return done, b.damagedRecord(someOf(faults))
	}
	if f.db != nil {
		if err := b.rewriteGrants(of, &done); err != nil {
			return done, b.grants.explain(err)
		}
	}
	return b.rekeyTokens(of, done)
}

// rewriteGrants writes grants.db anew, and then the version before.
func (b *Store) rewriteGrants(of func(client string) [][]byte, done *sealed.Rekeyed) error {
	f := &b.grants
	next := &dbFile{name: grantsFile, path: f.path + ".new"}
	if err := os.Remove(next.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := next.ready(true); err != nil {
		return err
	}
	err := b.commit(next, func(next *dbFile, to *bolt.Tx) error {
		*done = sealed.Rekeyed{}
		return errors.Join(
			f.run(false, func(from *bolt.Tx) error { return copyBuckets(from, to) }),
			next.rekeyGrants(to, of, done))
	})
	_ = next.close()
	// gofail: var rekeyWritten struct{}
	if err == nil {
		_ = f.close()
		err = os.Rename(next.path, f.path)
	}
	if err != nil {
		_ = os.Remove(next.path)
		return err
	}
	durable.Names(b.dir)
	// gofail: var rekeyRenamed struct{}
	if err := b.readyGrants(); err != nil {
		return err
	}
	made, err := b.copyGrants()
	if err == nil && !made {
		err = fmt.Errorf("%w: the new file is damaged", tokencache.ErrDamaged)
	}
	// gofail: var rekeyCopied struct{}
	if err == nil {
		err = b.keepCopy()
	}
	if err != nil {
		return fmt.Errorf("the data keys are wrapped with the new key, but %s still has the old wraps: %w", b.beforePath(), err)
	}
	return nil
}

// copyBuckets copies all that a file holds.
func copyBuckets(from, to *bolt.Tx) error {
	return from.ForEach(func(name []byte, b *bolt.Bucket) error {
		into, err := to.CreateBucketIfNotExists(name)
		if err != nil {
			return err
		}
		return copyBucket(b, into)
	})
}

func copyBucket(from, to *bolt.Bucket) error {
	return from.ForEach(func(name, value []byte) error {
		if value != nil {
			return to.Put(name, value)
		}
		into, err := to.CreateBucketIfNotExists(name)
		if err != nil {
			return err
		}
		return copyBucket(from.Bucket(name), into)
	})
}

// rekeyGrants wraps the rings of grants.db anew, and moves grants to the data key of today.
func (f *dbFile) rekeyGrants(tx *bolt.Tx, of func(client string) [][]byte, done *sealed.Rekeyed) error {
	opened, today, err := rewrapRings(tx, of, f.name, done)
	if err != nil {
		return err
	}
	for _, client := range slices.Sorted(maps.Keys(today)) {
		moved, err := moveGrants(tx, client, today[client], opened)
		if err := errors.Join(err, dropRetired(tx, client)); err != nil {
			return err
		}
		done.Moved += moved
	}
	return nil
}

// rewrapRings wraps the rings of a file anew. opened are the data keys of all of them that open,
// and today those that seal.
func rewrapRings(
	tx *bolt.Tx, of func(client string) [][]byte, file string, done *sealed.Rekeyed,
) (opened map[keyName]*sealed.DataKey, today map[string]*sealed.DataKey, err error) {
	opened, today = make(map[keyName]*sealed.DataKey), make(map[string]*sealed.DataKey)
	var put []func() error // once all are read
	err = eachRing(tx, func(client string, ring *sealed.KeyRing, retired bool) error {
		key := done.Rewrap(ring, file, client, of(client))
		if key == nil {
			return nil
		}
		opened[keyName{client, ring.ID}] = key
		store := retire
		if !retired {
			today[client], store = key, putRing
		}
		put = append(put, func() error { return store(tx, client, ring) })
		return nil
	})
	for _, store := range put {
		err = errors.Join(err, store())
	}
	return opened, today, err
}

// moveGrants seals the grants of a client by the data key of today that are sealed by another one
// which opens them.
func moveGrants(
	tx *bolt.Tx, client string, today *sealed.DataKey, opened map[keyName]*sealed.DataKey,
) (moved int, err error) {
	grants := clientBucket(tx, bucketGrants, client)
	if grants == nil {
		return 0, nil
	}
	anew := make(map[tokencache.Key]storedGrant)
	err = grants.ForEach(func(account, value []byte) error {
		before := opened[keyName{client, sealed.KeyOf(value)}]
		if before == nil || before.ID == today.ID {
			return nil
		}
		key := tokencache.Key{Client: client, Account: string(account)}
		var w storedGrant
		if sealed.Unpack(value, &w, bucketGrants, key.Client, key.Account) != nil {
			return nil
		}
		g, err := w.Open(before, key)
		if err != nil {
			return nil // its owner is told; the data key stays for it
		}
		w.Grant, err = today.SealGrant(key, g)
		anew[key] = w
		return err
	})
	for key, w := range anew {
		err = errors.Join(err, putAccount(tx, bucketGrants, key, w))
	}
	return len(anew), err
}

// rekeyTokens wraps the rings of tokens.db anew, and adds that to what was done.
func (b *Store) rekeyTokens(of func(client string) [][]byte, done sealed.Rekeyed) (sealed.Rekeyed, error) {
	var all sealed.Rekeyed
	err := b.withTokens(true, func(tx *bolt.Tx) error { // may run twice, on a file begun anew
		all = done
		_, _, err := rewrapRings(tx, of, tokensFile, &all)
		return err
	})
	if err != nil {
		return done, err
	}
	return all, nil
}

// KeysInUse says by which keys the store is sealed, and how many records have a data key without
// a wrap by one of them.
func (b *Store) KeysInUse(first string) (sealed.KeysInUse, error) {
	return ask(&b.grants, turn.Patience, func() (sealed.KeysInUse, error) { return b.keysInUse(first) })
}

// keysInUse is KeysInUse in the turn of grants.db.
func (b *Store) keysInUse(first string) (use sealed.KeysInUse, err error) {
	f := &b.grants
	if err := b.readyGrants(); err != nil {
		return use, err
	}
	if f.db != nil {
		err := f.run(false, func(tx *bolt.Tx) error {
			return addKeysInUse(tx, &use, first, bucketGrants, func(_ tokencache.Key, packed []byte) string {
				return sealed.KeyOf(packed)
			})
		})
		if err != nil {
			return use, f.explain(err)
		}
	}
	var all sealed.KeysInUse
	err = b.withTokens(false, func(tx *bolt.Tx) error { // may run twice, on a file begun anew
		all = use
		return addKeysInUse(tx, &all, first, bucketTokens, func(key tokencache.Key, packed []byte) string {
			return sealed.TokenKey(packed, key)
		})
	})
	if err != nil {
		return use, err
	}
	return all, nil
}

// addKeysInUse counts the rings of a file. keyOf is the data key that seals a record of the bucket.
func addKeysInUse(
	tx *bolt.Tx, use *sealed.KeysInUse, first, bucket string, keyOf func(key tokencache.Key, packed []byte) string,
) error {
	return eachRing(tx, func(client string, ring *sealed.KeyRing, _ bool) error {
		use.Add(ring, first, func() (n int) {
			records := clientBucket(tx, bucket, client)
			if records == nil {
				return 0
			}
			_ = records.ForEach(func(account, packed []byte) error {
				if keyOf(tokencache.Key{Client: client, Account: string(account)}, packed) == ring.ID {
					n++
				}
				return nil
			})
			return n
		})
		return nil
	})
}
