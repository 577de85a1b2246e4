package boltstore

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A grant that was deleted here, and revoked at Zoho maybe, must not come back unnoticed
// with a backup of grants.db. So a deletion is remembered in the bucket "deleted" of tokens.db.
// Nothing is done about a grant that has come back, since an operator may have meant it: doctor
// names it.
//
// Which came first is told by numbers. Each change of grants.db that stores or deletes a grant
// gets one higher than all before; it stands with the grant, and with the deletion. A stored grant
// of a lower number than its account's deletion has come back. An old grants.db would count on
// from where it was, so tokens.db keeps the highest number that it has seen.
//
// A process may be killed between any two steps of this:
//
//	deleting   grants.db   the grant goes, its deletion is noted in the same transaction
//	           tokens.db   the deletion is noted; at the latest when grants.db is opened next
//	saving     grants.db   the grant, with a number above its deletion's; the note there goes
//	           tokens.db   the note goes; until then the numbers say the same
//
// Versions before had no numbers: a grant of theirs counts as 0, a deletion as 1.
type (
	storedGrant struct {
		sealed.Grant
		Change uint64 `json:"change,omitempty"`
	}
	deletion struct {
		Change uint64    `json:"change"`
		At     time.Time `json:"at"`
	}
)

const (
	// deletionLife is how long an old grants.db is noticed: as long as anybody keeps a backup of
	// last year. Each account that was ever deleted takes some 100 bytes until then.
	deletionLife = 400 * 24 * time.Hour

	// recordLife is how long the record of an account outlives its grant. Nobody has hold of one
	// of its tokens by then.
	recordLife = 24 * time.Hour

	aboutChanges = "changes" // in the bucket "about" of both files: the highest number
)

// nextChange numbers a change of grants.db, above the one given.
func nextChange(tx *bolt.Tx, after uint64) (uint64, error) {
	next := max(lastChange(tx), after) + 1
	return next, putChange(tx, next)
}

// lastChange is the highest number in a file.
func lastChange(tx *bolt.Tx) uint64 {
	about := tx.Bucket([]byte(bucketAbout))
	if about == nil {
		return 0
	}
	last, _ := strconv.ParseUint(string(about.Get([]byte(aboutChanges))), 10, 64)
	return last
}

func putChange(tx *bolt.Tx, change uint64) error {
	about, err := tx.CreateBucketIfNotExists([]byte(bucketAbout))
	if err != nil || change <= lastChange(tx) {
		return err
	}
	return about.Put([]byte(aboutChanges), strconv.AppendUint(nil, change, 10))
}

// readDeletion is the zero deletion for an account that has none.
func readDeletion(tx *bolt.Tx, key tokencache.Key) (d deletion) {
	value := account(tx, bucketDeleted, key)
	if value == nil {
		return d
	}
	at := []string{bucketDeleted, key.Client, key.Account}
	if sealed.Unpack(value, &d, at...) != nil {
		d = deletion{Change: 1}
		_ = sealed.Unpack(value, &d.At, at...) // of a version before; one that is damaged says at least that it was there
	}
	return d
}

// deletions are all that a file remembers.
func deletions(tx *bolt.Tx) map[tokencache.Key]deletion {
	all := make(map[tokencache.Key]deletion)
	_ = eachAccount(tx, bucketDeleted, func(key tokencache.Key, _ []byte) error {
		all[key] = readDeletion(tx, key)
		return nil
	})
	return all
}

// dropDeletion forgets that the grant of an account was deleted.
func dropDeletion(tx *bolt.Tx, key tokencache.Key) error {
	if deleted := clientBucket(tx, bucketDeleted, key.Client); deleted != nil {
		return deleted.Delete([]byte(key.Account))
	}
	return nil
}

// Returned lists connections whose grant is stored although it was deleted
// here: an old grants.db was put back. Saving or deleting the grant settles it.
func (b *Store) Returned() []tokencache.Key {
	b.openOnce()
	returned, err := ask(&b.grants, turn.Patience, func() ([]tokencache.Key, error) {
		if err := b.readyGrants(); err != nil || b.grants.db == nil {
			return nil, err
		}
		return b.returned()
	})
	if err != nil {
		return nil
	}
	return returned
}

// announceReturned has the log name them when a file was put in place while the store is open. Later,
// Concerns does. The caller has the turn of grants.db.
func (b *Store) announceReturned() {
	if returned, err := b.returned(); err == nil && len(returned) > 0 {
		b.warnings.Report("%s", returnedText(returned))
	}
}

// returned are those whose stored grant is older than their deletion. The caller has the turn of
// grants.db, which is open.
func (b *Store) returned() (older []tokencache.Key, err error) {
	deleted, err := b.tokensDeletions()
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(deleted, func(k tokencache.Key, _ deletion) bool { return !b.index.has(k) })
	if len(deleted) == 0 {
		return nil, nil
	}
	err = b.grants.run(false, func(tx *bolt.Tx) error {
		for key, d := range deleted {
			var g storedGrant
			value := account(tx, bucketGrants, key)
			if value != nil && sealed.Unpack(value, &g, bucketGrants, key.Client, key.Account) == nil && g.Change < d.Change {
				older = append(older, key)
			}
		}
		return nil
	})
	slices.SortFunc(older, tokencache.Key.Compare)
	return older, err
}

func returnedText(keys []tokencache.Key) string {
	return "grants that were deleted here are stored again: " + words.SomeOf(keys)
}

// tokensDeletions are the deletions that tokens.db remembers.
func (b *Store) tokensDeletions() (map[tokencache.Key]deletion, error) {
	return fromTokens(b, deletions)
}

// seenChanges is the highest number that tokens.db has seen, 0 if it does not tell.
func (b *Store) seenChanges() uint64 {
	last, _ := fromTokens(b, lastChange)
	return last
}

// settleDeleted has tokens.db remember the deletions and the number that only grants.db knows of:
// the process was killed in between, or tokens.db was begun anew. An account that has a grant beside
// its deletion was connected again by a version before. The caller has the turn of grants.db.
func (b *Store) settleDeleted() {
	var deleted map[tokencache.Key]deletion
	last := uint64(0)
	err := b.grants.run(false, func(tx *bolt.Tx) error {
		deleted, last = deletions(tx), lastChange(tx)
		return nil
	})
	if err != nil {
		return
	}
	known, err := b.tokensDeletions()
	if err != nil {
		return
	}
	maps.DeleteFunc(deleted, func(k tokencache.Key, d deletion) bool {
		return b.index.has(k) || known[k].Change >= d.Change
	})
	if len(deleted) == 0 && last <= b.seenChanges() {
		return
	}
	b.note(func(tx *bolt.Tx) error {
		errs := []error{putChange(tx, last)}
		for key, d := range deleted {
			errs = append(errs, noteDeleted(tx, key, d))
		}
		return errors.Join(errs...)
	})
}

// rememberDeleted notes in tokens.db that the grant was deleted. What is of no use any more of
// accounts that were deleted before goes.
func (b *Store) rememberDeleted(key tokencache.Key, d deletion) {
	b.note(func(tx *bolt.Tx) error {
		return errors.Join(noteDeleted(tx, key, d), sweepDeleted(tx, key, d.At))
	})
}

// noteDeleted remembers a deletion, and drops the access token that came from the grant. Ledger
// and generation stay: Zoho goes on counting, and callers tell the tokens of a connection by
// numbers that only grow.
func noteDeleted(tx *bolt.Tx, key tokencache.Key, d deletion) error {
	if readDeletion(tx, key).Change >= d.Change {
		return nil
	}
	err := errors.Join(putChange(tx, d.Change), putAccount(tx, bucketDeleted, key, d))
	var w sealed.Record
	value := account(tx, bucketTokens, key)
	if value == nil {
		return err
	}
	if sealed.Unpack(value, &w, bucketTokens, key.Client, key.Account) != nil {
		return errors.Join(err, clientBucket(tx, bucketTokens, key.Client).Delete([]byte(key.Account)))
	}
	w.Token = nil
	return errors.Join(err, putAccount(tx, bucketTokens, key, w))
}

// rememberSaved forgets deletions before the grants were stored, but none that came since.
func (b *Store) rememberSaved(keys []tokencache.Key, change uint64) {
	b.note(func(tx *bolt.Tx) error {
		err := putChange(tx, change)
		for _, key := range keys {
			if readDeletion(tx, key).Change < change {
				err = errors.Join(err, dropDeletion(tx, key))
			}
		}
		return err
	})
}

// sweepDeleted looks at some of the deleted accounts of a client after this one. Those of long ago
// are forgotten, and of those of yesterday the records go: what is left of a record is the
// generation, and nobody has a token to tell by it.
func sweepDeleted(tx *bolt.Tx, after tokencache.Key, now time.Time) error {
	deleted := clientBucket(tx, bucketDeleted, after.Client)
	if deleted == nil {
		return nil
	}
	var errs []error
	for _, name := range someAfter(deleted, after.Account) {
		key := tokencache.Key{Client: after.Client, Account: name}
		d := readDeletion(tx, key)
		if now.Sub(d.At) > recordLife {
			errs = append(errs, dropRecord(tx, key, d.At))
		}
		if now.Sub(d.At) > deletionLife {
			errs = append(errs, dropDeletion(tx, key))
		}
	}
	return errors.Join(errs...)
}

// dropRecord drops what is left of an account that was deleted then. One that was in use since
// has another grant, as from the configuration.
func dropRecord(tx *bolt.Tx, key tokencache.Key, deleted time.Time) error {
	value := account(tx, bucketTokens, key)
	if value == nil {
		return nil
	}
	var w sealed.Record
	if sealed.Unpack(value, &w, bucketTokens, key.Client, key.Account) == nil {
		if w.Token != nil || w.Used.After(deleted) || w.Issued.After(deleted) || w.LastErrorAt.After(deleted) {
			return nil
		}
	}
	return clientBucket(tx, bucketTokens, key.Client).Delete([]byte(key.Account))
}
