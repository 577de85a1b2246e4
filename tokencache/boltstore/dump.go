package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// What a backup is made of, and what comes out of one. Grants are copied in one transaction, and read
// when the file is free again: with many of them that takes a while, and others would take the disk for hung.

// Dump is what is stored of grants at this moment, as it is stored. What is damaged is missing in it;
// where no grant is sound there is none.
func (b *Store) Dump() (*sealed.Dump, error) {
	c, err := ask(&b.grants, turn.Patience, b.copyAll)
	if err != nil {
		return nil, err
	}
	d := c.dump()
	if len(c.faults) > 0 && len(d.Grants) == 0 {
		return nil, b.damagedRecord(someOf(c.faults))
	}
	return d, nil
}

// copied is what Dump has copied.
type copied struct {
	rings     []sealed.ClientRing
	grants    []copiedGrant
	count     int      // of grants, as the file has it; -1 = it does not say
	faults    []string // what is wrong with the file, in words
	deletions []sealed.Deletion
}

type copiedGrant struct {
	key   tokencache.Key
	value []byte
}

// copyAll is for the turn of grants.db, which each deletion takes as well.
func (b *Store) copyAll() (c copied, err error) {
	f := &b.grants
	if err := b.readyGrants(); err != nil {
		return c, err
	}
	if f.db != nil {
		var found inspection
		err := f.run(false, func(tx *bolt.Tx) (err error) {
			if found, err = inspect(tx); err != nil {
				return err
			}
			return c.take(tx)
		})
		if err != nil {
			return c, f.explain(err)
		}
		if c.faults = found.faults; len(c.faults) > 0 {
			b.index.set(found)
		}
	}
	deleted, err := b.tokensDeletions()
	for key, deletion := range deleted {
		c.deletions = append(c.deletions, sealed.Deletion{Client: key.Client, Account: key.Account, At: deletion.At})
	}
	return c, err
}

// take copies rings and grants.
func (c *copied) take(tx *bolt.Tx) error {
	c.count = grantCount(tx)
	return errors.Join(
		eachRing(tx, func(client string, ring *sealed.KeyRing, retired bool) error {
			c.rings = append(c.rings, sealed.ClientRing{Client: client, Retired: retired, KeyRing: *ring})
			return nil
		}),
		eachAccount(tx, bucketGrants, func(key tokencache.Key, value []byte) error {
			c.grants = append(c.grants, copiedGrant{key, bytes.Clone(value)})
			return nil
		}),
	)
}

// dump reads what was copied.
func (c *copied) dump() *sealed.Dump {
	d := &sealed.Dump{Deletions: c.deletions}
	for _, ring := range c.rings {
		d.AddRing(ring)
	}
	for _, g := range c.grants {
		d.AddGrant(g.key, g.value, bucketGrants)
	}
	if lost := c.count - len(c.grants); lost > 0 {
		d.Missing = append(d.Missing, sealed.Missing{
			Why: fmt.Sprintf("%s gone, of unknown accounts", words.Plural(lost, "record")),
		})
	}
	if len(d.Missing) == 0 { // what is wrong concerns no grant that is there
		for _, fault := range c.faults {
			d.Missing = append(d.Missing, sealed.Missing{Why: fault})
		}
	}
	return d
}

// eachRing calls fn for each ring: those that seal, and those of before. What cannot be read is
// left out. If a grant needs one, inspect and AddGrant report it.
func eachRing(tx *bolt.Tx, fn func(client string, ring *sealed.KeyRing, retired bool) error) error {
	if keys := tx.Bucket([]byte(bucketKeys)); keys != nil {
		err := keys.ForEach(func(client, value []byte) error {
			ring, err := unpackRing(value, bucketKeys, string(client))
			if err != nil {
				return nil
			}
			return fn(string(client), ring, false)
		})
		if err != nil {
			return err
		}
	}
	return eachAccount(tx, bucketRetired, func(at tokencache.Key, value []byte) error {
		ring, err := unpackRing(value, bucketRetired, at.Client, at.Account)
		if err != nil {
			return nil
		}
		return fn(at.Client, ring, true)
	})
}

// SaveGrants stores many grants of a client, as SaveGrant does each, in one transaction: all of
// them, or with an error none. With anew it does as ReplaceGrant where none of the secrets opens
// the client's data key.
func (b *Store) SaveGrants(client string, secrets [][]byte, grants map[string]tokencache.Grant, anew bool) error {
	var keys []tokencache.Key
	for account, g := range grants {
		key := tokencache.Key{Client: client, Account: account}
		if err := checkGrant(key, g); err != nil {
			return err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, tokencache.Key.Compare) // until it is committed a bucket is one list, into which each is put at its place
	return b.saveGrants(keys, func(f *dbFile, tx *bolt.Tx, change uint64) error {
		if anew {
			if err := f.giveUpKey(tx, keys[0], secrets); err != nil {
				return err
			}
		}
		for _, key := range keys {
			if err := sealGrant(f, tx, key, secrets, grants[key.Account], anew, change); err != nil {
				return err
			}
		}
		return dropRetired(tx, client)
	})
}

// Lost is false: what HasGrant names is in the file.
func (b *Store) Lost(tokencache.Key) bool { return false }

// Deleted says when the grants were deleted here that were not stored again.
func (b *Store) Deleted() (map[tokencache.Key]time.Time, error) {
	deletions, err := b.tokensDeletions()
	if err != nil {
		return nil, err
	}
	deleted := make(map[tokencache.Key]time.Time)
	for key, d := range deletions {
		deleted[key] = d.At
	}
	return deleted, nil
}

// MarkDeleted notes of accounts that their grants were deleted, elsewhere and then. What is
// noted already stays. A grant that is stored from now on is newer.
func (b *Store) MarkDeleted(deleted map[tokencache.Key]time.Time) error {
	return b.withTokens(true, func(tx *bolt.Tx) error {
		change := max(lastChange(tx), 1)
		for key, at := range deleted {
			if account(tx, bucketDeleted, key) != nil {
				continue
			}
			note := deletion{Change: change, At: sealed.UTC(at)}
			if err := errors.Join(checkKey(key), putAccount(tx, bucketDeleted, key, note)); err != nil {
				return err
			}
		}
		return nil
	})
}
