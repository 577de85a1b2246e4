package boltstore

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
)

// A secret is replaced by configuring both for a while. A data key gets its wrap by the new
// one when something under it is read or written. AddWraps does not wait for that: whoever
// takes the old secret out of the configuration after a start loses no grant, not even
// one that nobody has used in between. Opens says whether a client would.

// AddWraps wraps the data keys of clients in both files by each of their secrets that
// has no wrap yet. Keys that none of the secrets opens stay as they are: whoever needs
// one is told. An error says that a secret may not be relied on alone yet.
func (b *Store) AddWraps(secrets map[string][][]byte) error {
	err := askOnly(&b.grants, turn.Patience, func() error { return b.addGrantWraps(secrets) })
	return errors.Join(err, b.addTokenWraps(secrets))
}

// addGrantWraps is AddWraps for grants.db, in a turn of that.
func (b *Store) addGrantWraps(secrets map[string][][]byte) error {
	f := &b.grants
	if err := b.readyGrants(); err != nil || f.db == nil {
		return err
	}
	lacking, err := f.lacking(secrets)
	if err == nil && len(lacking) > 0 {
		err = b.changeWraps(func(f *dbFile, tx *bolt.Tx) error { return f.wrapAll(tx, lacking, secrets) })
	}
	if err != nil {
		return f.explain(fmt.Errorf("adding a wrap: %w", err))
	}
	return nil
}

// addTokenWraps is AddWraps for tokens.db. It looks first, in a transaction that does not
// write: at most starts there is nothing to add.
func (b *Store) addTokenWraps(secrets map[string][][]byte) error {
	lacking, err := fromTokens(b, func(tx *bolt.Tx) []keyName { return b.tokens.lackingIn(tx, secrets) })
	if err != nil || len(lacking) == 0 {
		return err
	}
	return b.withTokens(true, func(tx *bolt.Tx) error { return b.tokens.wrapAll(tx, lacking, secrets) })
}

// lacking is lackingIn in a transaction of its own.
func (f *dbFile) lacking(secrets map[string][][]byte) (names []keyName, err error) {
	err = f.run(false, func(tx *bolt.Tx) error {
		names = f.lackingIn(tx, secrets)
		return nil
	})
	return names, err
}

// lackingIn are the data keys of clients that open, and lack a wrap.
func (f *dbFile) lackingIn(tx *bolt.Tx, secrets map[string][][]byte) (names []keyName) {
	for client, offered := range secrets {
		all := []keyName{{client: client}}
		if old := clientBucket(tx, bucketRetired, client); old != nil {
			_ = old.ForEach(func(id, _ []byte) error {
				all = append(all, keyName{client, string(id)})
				return nil
			})
		}
		for _, name := range all {
			if c, err := f.dataKey(tx, name, offered); err == nil && !c.complete {
				names = append(names, name)
			}
		}
	}
	return names
}

// wrapAll adds the wraps that these data keys lack, each by the secrets of its client.
func (f *dbFile) wrapAll(tx *bolt.Tx, names []keyName, secrets map[string][][]byte) error {
	for _, name := range names {
		if err := f.wrap(tx, name, secrets[name.client]); err != nil {
			return err
		}
	}
	return nil
}

// Opens says why none of the secrets opens the data key by which a client's grants
// are sealed now, nil if one does, or if the client has no grant.
func (b *Store) Opens(client string, secrets [][]byte) error {
	return askOnly(&b.grants, turn.Patience, func() error { return b.opens(client, secrets) })
}

func (b *Store) opens(client string, secrets [][]byte) error {
	if err := b.readyGrants(); err != nil || b.grants.db == nil {
		return err
	}
	err := b.grants.run(false, func(tx *bolt.Tx) error {
		if clientBucket(tx, bucketGrants, client) == nil {
			return nil
		}
		_, err := b.grants.dataKey(tx, keyName{client: client}, secrets)
		return err
	})
	return b.grants.explain(err)
}
