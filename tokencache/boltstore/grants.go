package boltstore

import (
	"errors"
	"fmt"
	"maps"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Accounts lists the accounts of a client that have a stored grant, sorted. It
// reads memory only, and lists what was there last while grants.db cannot be read.
func (b *Store) Accounts(client string) []string {
	b.openOnce()
	return b.index.list(client)
}

// HasGrant reports whether a grant is stored, from memory. Where it is false,
// LoadGrant still tells by an error that there may be one which cannot be read.
func (b *Store) HasGrant(key tokencache.Key) bool {
	b.openOnce()
	return b.index.has(key)
}

// LoadGrant returns the stored grant of a connection, and whether there is one.
// If that cannot be known for certain, it is an error. While the disk hangs it is the grant
// that was last read or written.
func (b *Store) LoadGrant(key tokencache.Key, secrets [][]byte) (tokencache.Grant, bool, error) {
	type loaded struct {
		tokencache.Grant
		found bool
	}
	l, err := ask(&b.grants, turn.Patience, func() (l loaded, err error) {
		l.Grant, l.found, err = b.loadGrant(key, secrets)
		return l, err
	})
	if errors.Is(err, turn.ErrHung) && !b.closed.Load() {
		if g, found := b.read.open(key, secrets); found {
			return g, true, nil
		}
	}
	return l.Grant, l.found, err
}

// loadGrant is LoadGrant in a turn of grants.db.
func (b *Store) loadGrant(key tokencache.Key, secrets [][]byte) (tokencache.Grant, bool, error) {
	f := &b.grants
	if err := b.readyGrants(); err != nil || f.db == nil {
		return tokencache.Grant{}, false, err
	}
	if !b.index.has(key) {
		if b.index.incomplete() {
			return tokencache.Grant{}, false, b.damagedRecord(
				"a record is missing or damaged, it may be that of " + key.String())
		}
		return tokencache.Grant{}, false, nil
	}
	var w storedGrant
	var dk *cachedKey
	err := f.run(false, func(tx *bolt.Tx) error {
		err := sealed.Unpack(account(tx, bucketGrants, key), &w, bucketGrants, key.Client, key.Account)
		if err != nil {
			return err
		}
		dk, err = f.dataKey(tx, keyName{key.Client, w.Grant.Grant.Key}, secrets)
		return err
	})
	if err != nil {
		return tokencache.Grant{}, false, b.unreadable(key, secrets, err)
	}
	g, err := w.Open(dk.DataKey, key)
	if err != nil {
		return tokencache.Grant{}, false, b.unreadable(key, secrets, err)
	}
	b.read.keep(key, w.Grant, dk)
	if !dk.complete { // a secret was added: without its wrap it could not replace the old one
		err := b.changeWraps(func(f *dbFile, tx *bolt.Tx) error {
			return f.wrap(tx, keyName{key.Client, w.Grant.Grant.Key}, secrets)
		})
		if err != nil {
			b.warnings.Warn("%s: a new key of client %q could not be added yet, do not remove the old one: %v",
				f.path, key.Client, err)
		}
	}
	return g, true, nil
}

// SaveGrant stores the grant of a connection; it is on the disk when SaveGrant
// returns, and the version before is kept. Nothing is overwritten if the
// secrets do not open the client's data key.
func (b *Store) SaveGrant(key tokencache.Key, secrets [][]byte, g tokencache.Grant) error {
	return b.saveGrant(key, g, func(f *dbFile, tx *bolt.Tx, change uint64) error {
		return putGrant(f, tx, key, secrets, g, false, change)
	})
}

// ReplaceGrant is SaveGrant for an account whose stored grant cannot be read, as
// far as its error says Replaceable. Grants of other accounts stay as they are.
func (b *Store) ReplaceGrant(key tokencache.Key, secrets [][]byte, g tokencache.Grant) error {
	return b.saveGrant(key, g, func(f *dbFile, tx *bolt.Tx, change uint64) error {
		if err := f.giveUpKey(tx, key, secrets); err != nil {
			return err
		}
		return putGrant(f, tx, key, secrets, g, true, change)
	})
}

// numbered is a change that stores grants: they get its number.
type numbered func(f *dbFile, tx *bolt.Tx, change uint64) error

// saveGrant is what SaveGrant and ReplaceGrant have in common.
func (b *Store) saveGrant(key tokencache.Key, g tokencache.Grant, put numbered) error {
	if err := checkGrant(key, g); err != nil {
		return err
	}
	return b.saveGrants([]tokencache.Key{key}, put)
}

// checkGrant refuses what cannot be the grant of an account.
func checkGrant(key tokencache.Key, g tokencache.Grant) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if g.RefreshToken == "" {
		return fmt.Errorf("grant of %s: it has no refresh token, so it is not stored", key)
	}
	return nil
}

// saveGrants has put write the grants of these accounts, in the transaction that changes
// grants.db. The index and tokens.db learn of it once it is committed.
func (b *Store) saveGrants(keys []tokencache.Key, put numbered) error {
	patience := turn.Patience
	if len(keys) > 1 {
		patience = openPatience // a thousand of them take a while on a busy machine
	}
	change, err := ask(&b.grants, patience, func() (change uint64, _ error) {
		if err := b.readyGrants(); err != nil {
			return 0, err
		}
		seen := b.seenChanges()
		for _, key := range keys {
			b.read.forget(key)
		}
		err := b.changeGrants(func(f *dbFile, tx *bolt.Tx) (err error) {
			if change, err = nextChange(tx, seen); err != nil {
				return err
			}
			return put(f, tx, change)
		})
		if err != nil {
			return 0, b.grantError(keys[0], err)
		}
		for _, key := range keys {
			b.index.add(key)
		}
		return change, nil
	})
	if err != nil {
		return err
	}
	b.rememberSaved(keys, change)
	return nil
}

// putGrant seals a grant, and drops the data keys of before that nothing is sealed by any more.
func putGrant(
	f *dbFile, tx *bolt.Tx, key tokencache.Key, secrets [][]byte, g tokencache.Grant, anew bool, change uint64,
) error {
	return errors.Join(sealGrant(f, tx, key, secrets, g, anew, change), dropRetired(tx, key.Client))
}

// sealGrant seals a grant. A data key is made only for a client without any grant:
// where there are some, one that cannot be had must not be displaced, unless that
// was asked for.
func sealGrant(
	f *dbFile, tx *bolt.Tx, key tokencache.Key, secrets [][]byte, g tokencache.Grant, anew bool, change uint64,
) error {
	grants := clientBucket(tx, bucketGrants, key.Client)
	dk, err := f.writeDataKey(tx, key.Client, secrets, anew || grants == nil)
	if err != nil {
		return err
	}
	if account(tx, bucketGrants, key) == nil {
		if err := addToCount(tx, 1); err != nil {
			return err
		}
	}
	w := storedGrant{Change: change}
	if w.Grant, err = dk.SealGrant(key, g); err != nil {
		return err
	}
	return errors.Join(putAccount(tx, bucketGrants, key, w), dropDeletion(tx, key))
}

// DeleteGrant deletes the grant of a connection and the access token in its
// record, and remembers that it did. With the last grant of a client its data
// key goes too.
func (b *Store) DeleteGrant(key tokencache.Key) error {
	d, err := ask(&b.grants, turn.Patience, func() (deletion, error) { return b.deleteGrant(key) })
	if err != nil || d.Change == 0 {
		return err
	}
	b.rememberDeleted(key, d)
	return nil
}

// deleteGrant is DeleteGrant in a turn of grants.db. The deletion is the zero one if there was
// nothing to delete.
func (b *Store) deleteGrant(key tokencache.Key) (d deletion, err error) {
	f := &b.grants
	if err := b.readyGrants(); err != nil || f.db == nil {
		return d, err
	}
	if !b.index.has(key) {
		return d, nil
	}
	seen := b.seenChanges()
	b.read.forget(key)
	err = b.changeGrants(func(_ *dbFile, tx *bolt.Tx) error {
		grants := clientBucket(tx, bucketGrants, key.Client)
		if grants == nil {
			return nil
		}
		change, err := nextChange(tx, seen)
		if err != nil {
			return err
		}
		d = deletion{Change: change, At: sealed.UTC(time.Now())}
		err = errors.Join(putAccount(tx, bucketDeleted, key, d), sweepDeleted(tx, key, d.At),
			grants.Delete([]byte(key.Account)), addToCount(tx, -1))
		if err != nil {
			return err
		}
		if name, _ := grants.Cursor().First(); name != nil {
			return dropRetired(tx, key.Client)
		}
		err = errors.Join(
			tx.Bucket([]byte(bucketGrants)).DeleteBucket([]byte(key.Client)),
			dropRetired(tx, key.Client))
		if keys := tx.Bucket([]byte(bucketKeys)); keys != nil {
			err = errors.Join(err, keys.Delete([]byte(key.Client)))
		}
		return err
	})
	if err != nil {
		return d, b.grantError(key, err)
	}
	maps.DeleteFunc(f.keys, func(name keyName, _ *cachedKey) bool { return name.client == key.Client })
	b.index.remove(key)
	return d, nil
}

// grantError says which grant it is about.
func (b *Store) grantError(key tokencache.Key, err error) error {
	if errors.Is(err, errNoRing) {
		err = fmt.Errorf("%w: the data key is missing", tokencache.ErrDamaged)
	}
	known := b.grants.explain(err)
	var e *tokencache.StoreError
	if !errors.As(known, &e) {
		return known
	}
	about := *e
	about.Reason = fmt.Sprintf("grant of %s: %s", key, e.Reason)
	return &about
}

// unreadable is grantError for a grant that is stored: it reports whether
// ReplaceGrant would store another one.
func (b *Store) unreadable(key tokencache.Key, secrets [][]byte, err error) error {
	err = b.grantError(key, err)
	var e *tokencache.StoreError
	if b.grants.db == nil || !errors.As(err, &e) {
		return err
	}
	about := *e
	_ = b.grants.run(false, func(tx *bolt.Tx) error {
		_, err := b.grants.dataKey(tx, keyName{client: key.Client}, secrets)
		about.Replaceable = err == nil || errors.Is(err, tokencache.ErrWrongKey) || alone(tx, key)
		return nil
	})
	return &about
}
