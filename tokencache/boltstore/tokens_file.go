package boltstore

import (
	"errors"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// withTokens runs a transaction on tokens.db. If the file turns out to be
// damaged, it is set aside, a new one is begun, and fn runs again on that: once,
// for a second file that is damaged at birth says that the disk is. What writes may share its
// transaction with others, and run several times, see writes. With an error fn may
// still run, on a disk that hangs: what it sets is not to be looked at then.
func (b *Store) withTokens(write bool, fn func(*bolt.Tx) error) error {
	if !write {
		return askOnly(&b.tokens, turn.Patience, func() error { return b.runTokens(false, fn) })
	}
	w := b.writes.add(fn)
	err := askOnly(&b.tokens, turn.Patience, func() error {
		return b.writes.make(w, func(all func(*bolt.Tx) error) error { return b.runTokens(true, all) })
	})
	if errors.Is(err, turn.ErrHung) {
		if done, made := b.writes.leave(w); done {
			return made
		}
	}
	return err
}

// fromTokens is what fn finds in tokens.db, zero with an error.
func fromTokens[T any](b *Store, fn func(*bolt.Tx) T) (T, error) {
	var found T
	err := b.withTokens(false, func(tx *bolt.Tx) error {
		found = fn(tx)
		return nil
	})
	if err != nil {
		var none T
		return none, err
	}
	return found, nil
}

// runTokens is withTokens in a turn of tokens.db.
func (b *Store) runTokens(write bool, fn func(*bolt.Tx) error) error {
	err := b.tryTokens(write, fn)
	if b.tokens.db == nil && (errors.Is(err, tokencache.ErrDamaged) || errors.Is(err, errNewer)) {
		if aside := b.setAside(err); aside != nil {
			return b.tokens.explain(aside)
		}
		err = b.tryTokens(write, fn)
	}
	return b.tokens.explain(err)
}

// tryTokens is withTokens without a second try. It opens tokens.db if it is not open, and
// notes in a new one that there is a grants.db: the old one may have known. The caller
// has the turn of tokens.db.
func (b *Store) tryTokens(write bool, fn func(*bolt.Tx) error) error {
	f := &b.tokens
	if b.closed.Load() {
		return closedError(f.path)
	}
	if f.db != nil && f.look() != same {
		_ = f.close() // deleted or replaced meanwhile: it is only a cache
	}
	if f.db == nil {
		if err := os.MkdirAll(b.dir, 0o700); err != nil {
			return err
		}
		if err := f.ready(true); err != nil {
			return err
		}
		b.dropTries()
		if b.existed.Load() {
			if err := f.run(true, markExisted); f.db == nil {
				return err
			}
		}
	}
	return f.run(write, fn)
}

// setAside renames a tokens.db that cannot be read. It is not removed: somebody may want to
// know what became of it, and it is small.
func (b *Store) setAside(why error) error {
	aside := b.tokens.path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := os.Rename(b.tokens.path, aside); err != nil {
		return err
	}
	b.warnings.Warn("%s could not be read and was started over, the old one is %s: %v", b.tokens.path, aside, why)
	b.tokens.fail(nil)
	return nil
}
