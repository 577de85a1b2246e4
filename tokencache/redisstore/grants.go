package redisstore

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Accounts lists the accounts of a client that have a stored grant, from memory.
func (s *Store) Accounts(client string) []string { return s.index.list(client) }

// HasGrant reports whether a grant is stored, from memory.
func (s *Store) HasGrant(key tokencache.Key) bool { return s.index.has(key) }

// LoadGrant returns the stored grant of a connection, and whether there is one. While Redis is
// away, or has lost it, it is the one that was read last.
func (s *Store) LoadGrant(key tokencache.Key, secrets [][]byte) (g tokencache.Grant, found bool, err error) {
	packed, err := s.get(s.layout.grant(key))
	if errors.Is(err, tokencache.ErrAway) {
		if kept := s.index.kept(key); kept != "" {
			return s.openGrant(key, kept, secrets)
		}
	}
	if err != nil {
		return g, false, err
	}
	if packed == "" {
		return s.loadMissing(key, secrets)
	}
	if s.index.note(key, packed) {
		_ = s.enlist(key) // it was not listed, or not yet here
	}
	return s.openGrant(key, packed, secrets)
}

// loadMissing is LoadGrant where Redis has no grant. One that was deleted is none. One that was
// lost is served on by whoever has read it: it costs a person to bring back.
func (s *Store) loadMissing(key tokencache.Key, secrets [][]byte) (g tokencache.Grant, found bool, err error) {
	if !s.index.has(key) {
		return g, false, nil
	}
	if _, err := s.settleMissing([]tokencache.Key{key}); err != nil || !s.index.isGone(key) {
		return g, false, err
	}
	if kept := s.index.kept(key); kept != "" {
		return s.openGrant(key, kept, secrets)
	}
	return g, false, s.lost([]tokencache.Key{key})
}

// Lost reports whether a grant that HasGrant names is gone from Redis.
func (s *Store) Lost(key tokencache.Key) bool { return s.index.isGone(key) }

// openGrant opens what is stored of a grant.
func (s *Store) openGrant(key tokencache.Key, packed string, secrets [][]byte) (g tokencache.Grant, found bool, err error) {
	var w sealed.Grant
	if err := sealed.Unpack([]byte(packed), &w, placeGrants, key.Client, key.Account); err != nil {
		return g, false, s.unreadable(key, err)
	}
	dataKey, err := s.openingKey(sealed.Grants, key.Client, w.Grant.Key, secrets)
	if err != nil {
		return g, false, s.unreadable(key, err)
	}
	if g, err = w.Open(dataKey, key); err != nil {
		return g, false, s.unreadable(key, err)
	}
	return g, true, nil
}

// SaveGrant stores the grant of a connection.
func (s *Store) SaveGrant(key tokencache.Key, secrets [][]byte, g tokencache.Grant) error {
	return s.saveGrant(key, secrets, g, func() (bool, error) {
		stored, err := s.stored(key.Client)
		return len(stored) == 0, err // a data key that is wanted must not be displaced
	})
}

// ReplaceGrant is SaveGrant for an account whose stored grant cannot be read.
func (s *Store) ReplaceGrant(key tokencache.Key, secrets [][]byte, g tokencache.Grant) error {
	return s.saveGrant(key, secrets, g, func() (bool, error) { return true, nil })
}

// saveGrant is what SaveGrant and ReplaceGrant have in common. anew says whether a data key that
// the secrets do not open is replaced.
func (s *Store) saveGrant(key tokencache.Key, secrets [][]byte, g tokencache.Grant, anew func() (bool, error)) error {
	if err := checkGrant(key, g); err != nil {
		return err
	}
	dataKey, err := s.sealingKey(sealed.Grants, key.Client, secrets, anew)
	if err != nil {
		return s.grantError(key, err)
	}
	_, err = s.putGrants(key.Client, dataKey, map[string]tokencache.Grant{key.Account: g})
	return err
}

func checkGrant(key tokencache.Key, g tokencache.Grant) error {
	if g.RefreshToken == "" {
		return fmt.Errorf("grant of %s: it has no refresh token, so it is not stored", key)
	}
	return checkKey(key)
}

// packGrant is what is stored of a grant.
func packGrant(key tokencache.Key, dataKey *sealed.DataKey, g tokencache.Grant) (string, error) {
	w, err := dataKey.SealGrant(key, g)
	if err != nil {
		return "", err
	}
	packed, err := sealed.Pack(w, placeGrants, key.Client, key.Account)
	return string(packed), err
}

// putGrants writes grants of a client, and tells the others. It returns how many are stored.
func (s *Store) putGrants(client string, dataKey *sealed.DataKey, grants map[string]tokencache.Grant) (stored int, err error) {
	var keys []tokencache.Key
	var packed []string
	var writes []write
	for _, account := range slices.Sorted(maps.Keys(grants)) {
		key := tokencache.Key{Client: client, Account: account}
		one, err := packGrant(key, dataKey, grants[account])
		if err != nil {
			return 0, err
		}
		keys, packed = append(keys, key), append(packed, one)
		writes = append(writes, write{"the grant of " + key.String(), textGrant, []string{s.layout.grant(key), s.layout.deleted(key)}, []any{one}})
	}
	if err := s.enlist(keys...); err != nil {
		return 0, err
	}
	replies, err := s.durablyAll(writes)
	var done []tokencache.Key
	for i, reply := range replies {
		if reply != nil {
			s.index.note(keys[i], packed[i])
			done = append(done, keys[i])
		}
	}
	s.enlistFound(done) // who deleted one at this moment may have taken it off the list
	s.announceGrants(done)
	return len(done), err
}

// DeleteGrant deletes the grant of a connection and the access token in its record, and
// remembers that it did. One that was lost is forgotten thereby.
func (s *Store) DeleteGrant(key tokencache.Key) error {
	lost := "0"
	if s.index.isGone(key) {
		lost = "1"
	}
	known := s.index.has(key)
	if known {
		if err := s.enlistDeleted(key); err != nil {
			return err
		}
	}
	reply, err := s.durably("that the grant of "+key.String()+" was deleted", textDelete,
		[]string{s.layout.grant(key), s.layout.deleted(key), s.layout.record(key), s.layout.lease(key)},
		time.Now().UTC().Format(time.RFC3339Nano), lost)
	if err != nil {
		return err
	}
	s.index.remove(key)
	if whole(reply) == 0 {
		return nil
	}
	if !known { // there was one that was not listed
		if err := s.enlistDeleted(key); err != nil {
			s.warnings.Warn("%s: that %s was deleted could not be listed: %v", s.Name(), key, err)
		}
	}
	s.announceGrants([]tokencache.Key{key})
	if err := s.delist(key); err != nil {
		s.warnings.Warn("%s: %s could not be taken off the list yet: %v", s.Name(), key, err)
	}
	return nil
}

// grantError says which grant an error is about.
func (s *Store) grantError(key tokencache.Key, err error) error {
	var known *tokencache.StoreError
	if errors.As(err, &known) {
		return err
	}
	e := &tokencache.StoreError{File: s.Name(), Reason: fmt.Sprintf("grant of %s: %v", key, err), Err: err}
	switch {
	case errors.Is(err, tokencache.ErrWrongKey):
		e.Remedy = "add the previous key after the new one in encryption_key: each replica needs one of the keys that sealed it"
	default:
		e.Remedy = "bring it back with `caddy zoho restore FILE`, or connect the account again"
	}
	return e
}

// unreadable is grantError for a grant that is stored: ReplaceGrant stores another one.
func (s *Store) unreadable(key tokencache.Key, err error) error {
	err = s.grantError(key, err)
	var e *tokencache.StoreError
	if errors.As(err, &e) && (errors.Is(err, tokencache.ErrWrongKey) || errors.Is(err, tokencache.ErrDamaged)) {
		e.Replaceable = true
	}
	return err
}
