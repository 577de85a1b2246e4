package boltstore

import (
	"cmp"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Load returns the record of a connection from tokens.db, and whether there is
// one. A token that the secrets do not open is left out. A record that cannot
// be read counts as none; Warnings tells.
func (b *Store) Load(key tokencache.Key, secrets [][]byte) (tokencache.Record, bool, error) {
	var r tokencache.Record
	var found bool
	var dk *cachedKey
	var keyErr error
	var w sealed.Record
	var damaged error
	err := b.withTokens(false, func(tx *bolt.Tx) error {
		value := account(tx, bucketTokens, key)
		if found = value != nil; !found {
			return nil
		}
		dk, keyErr = b.tokens.dataKey(tx, keyName{client: key.Client}, secrets)
		if damaged = sealed.Unpack(value, &w, bucketTokens, key.Client, key.Account); damaged == nil {
			r, damaged = w.Record()
		}
		return nil
	})
	if err != nil || !found {
		return tokencache.Record{}, false, err
	}
	if damaged != nil {
		b.warnings.Warn("%s: the record of %s is damaged and counts as none", b.tokens.path, key)
		return tokencache.Record{}, false, nil
	}
	if w.Token == nil {
		return r, true, nil
	}
	if keyErr == nil {
		r.Token, keyErr = w.OpenToken(dk.DataKey, key)
	}
	switch {
	case errors.Is(keyErr, tokencache.ErrWrongKey):
		b.warnings.Warn("%s: tokens of client %q are ignored: %v", b.tokens.path, key.Client, keyErr)
	case keyErr != nil:
		b.warnings.Warn("%s: the token of %s is ignored: %v", b.tokens.path, key, keyErr)
	}
	return r, true, nil
}

// Save writes the record of a connection to tokens.db. The token is sealed
// under the client's data key; one that the secrets do not open is replaced.
// Without any secret all but the token is written, and the error says so.
func (b *Store) Save(key tokencache.Key, secrets [][]byte, r tokencache.Record) error {
	if err := checkKey(key); err != nil {
		return err
	}
	var keyErr error
	// gofail: var beforeCommit struct{}
	err := b.withTokens(true, func(tx *bolt.Tx) error {
		w := sealed.NewRecord(r)
		if r.Token != "" {
			dk, err := b.tokens.writeDataKey(tx, key.Client, secrets, true)
			if keyErr = err; err == nil {
				w.SealToken(dk.DataKey, key, r.Token)
			} else if !errors.Is(err, tokencache.ErrWrongKey) {
				return err
			}
		}
		return errors.Join(putAccount(tx, bucketTokens, key, w), putLedger(tx, cmp.Or(r.LedgerID, r.Fingerprint), r.Ledger))
	})
	// gofail: var afterCommit struct{}
	if err != nil {
		return err
	}
	return b.tokens.explain(keyErr)
}
