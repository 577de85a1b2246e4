package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// The data keys. Several processes make and wrap them at the same time: a ring is made by
// SET NX and read back, and changed only while it is as it was read. A ring that seals
// grants never goes: one that is replaced is kept among those of before.

// errNoRing says that a data key is missing.
var errNoRing = fmt.Errorf("%w: its data key is missing", tokencache.ErrDamaged)

// openingKey is the data key of an id. Secrets that have no wrap in it yet get one.
func (s *Store) openingKey(file, client, id string, secrets [][]byte) (*sealed.DataKey, error) {
	key, complete, ok, err := s.rings.open(id, file, client, secrets)
	if !ok || errors.Is(err, tokencache.ErrWrongKey) { // somebody else may have wrapped it meanwhile
		if failed := s.readRing(file, client, id); failed != nil {
			if ok && errors.Is(failed, tokencache.ErrAway) {
				return nil, err
			}
			return nil, failed
		}
		key, complete, ok, err = s.rings.open(id, file, client, secrets)
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errNoRing
	}
	if !complete {
		if err := s.wrap(file, client, id, secrets); err != nil && !errors.Is(err, tokencache.ErrAway) {
			s.warnings.Warn("%s: a new key of client %q could not be added yet, do not remove the old one: %v", s.Name(), client, err)
		}
	}
	return key, nil
}

// ringPlaces are where the ring of an id can be: among those that seal now, or of before.
func (s *Store) ringPlaces(file, client, id string) []string {
	places := []string{s.layout.ring(file, client)}
	if file == sealed.Grants {
		places = append(places, s.layout.retired(client, id))
	}
	return places
}

// readRing reads the ring of an id into the cache, if it is there.
func (s *Store) readRing(file, client, id string) error {
	var damaged error
	for i, at := range s.ringPlaces(file, client, id) {
		raw, err := s.get(at)
		if err != nil {
			return err
		}
		if raw == "" {
			continue
		}
		ring, err := unpackRing(raw, file, client)
		if err != nil {
			damaged = err
			continue
		}
		if i == 0 {
			s.rings.keep(at, ring)
		} else {
			s.rings.keep("", ring)
		}
		if ring.ID == id {
			return nil
		}
	}
	return damaged
}

// packRing and unpackRing have one form for rings that seal now and those of before: a ring
// becomes one of before as it is.
func packRing(ring *sealed.KeyRing, file, client string) (string, error) {
	value, err := sealed.Pack(ring, placeKeys, file, client)
	return string(value), err
}

func unpackRing(raw, file, client string) (*sealed.KeyRing, error) {
	ring := new(sealed.KeyRing)
	if err := sealed.Unpack([]byte(raw), ring, placeKeys, file, client); err != nil {
		return nil, fmt.Errorf("data key of client %q: %w", client, err)
	}
	if !ring.HasIDs() {
		return nil, fmt.Errorf("data key of client %q: %w: its id is not valid", client, tokencache.ErrDamaged)
	}
	return ring, nil
}

// wrap adds the wraps that a data key lacks, wherever its ring is.
func (s *Store) wrap(file, client, id string, secrets [][]byte) error {
	for _, at := range s.ringPlaces(file, client, id) {
		for range maxTries {
			raw, err := s.get(at)
			if err != nil {
				return err
			}
			ring, err := unpackRing(raw, file, client)
			if err != nil || ring.ID != id {
				break
			}
			key, err := ring.Open(file, client, secrets)
			if err != nil {
				return err
			}
			done, err := s.addWraps(at, raw, ring, key, file, client, secrets)
			if err != nil || done {
				return err
			}
		}
	}
	return errNoRing
}

// addWraps writes a ring with a wrap by each secret. done is false if somebody else has changed it.
func (s *Store) addWraps(at, raw string, ring *sealed.KeyRing, key *sealed.DataKey, file, client string,
	secrets [][]byte) (done bool, err error) {
	added, err := ring.Add(key, file, client, secrets)
	if err != nil {
		return false, err
	}
	if added {
		if done, err := s.swapRing(at, raw, ring, file, client); err != nil || !done {
			return false, err
		}
	}
	s.rings.keep(at, ring)
	return true, nil
}

// swapRing writes a ring if what is there is still what was read.
func (s *Store) swapRing(at, raw string, ring *sealed.KeyRing, file, client string) (done bool, err error) {
	value, err := packRing(ring, file, client)
	if err != nil {
		return false, err
	}
	var reply any
	if file == sealed.Grants {
		reply, err = s.durably("the data key of client "+client, textSwap, []string{at}, raw, value)
	} else {
		reply, err = s.run(scriptSwap, []string{at}, raw, value)
	}
	return whole(reply) == 1, err
}

// sealingKey is the data key that seals a client's grants or tokens now. It is made if there
// is none. One that the secrets do not open is replaced if anew says so; grants that it has
// sealed can be opened as before.
func (s *Store) sealingKey(file, client string, secrets [][]byte, anew func() (bool, error)) (*sealed.DataKey, error) {
	at := s.layout.ring(file, client)
	for range maxTries {
		raw, err := s.get(at)
		if err != nil {
			return nil, err
		}
		key, done, err := s.trySealingKey(at, raw, file, client, secrets, anew)
		if err != nil || done {
			return key, err
		}
	}
	return nil, s.unsettled(at)
}

// maxTries is how often something is read again that others were quicker to change. Only a
// server that is no Redis reaches it.
const maxTries = 100

func (s *Store) unsettled(at string) error {
	return &tokencache.StoreError{
		File: s.Name(), Reason: at + " changes each time it is read", Remedy: faultUnknown.remedy, Err: errRefused,
	}
}

// trySealingKey is sealingKey by what was read. done is false if somebody else has changed it meanwhile.
func (s *Store) trySealingKey(at, raw, file, client string, secrets [][]byte,
	anew func() (bool, error)) (key *sealed.DataKey, done bool, err error) {
	if raw != "" {
		ring, err := unpackRing(raw, file, client)
		if err == nil {
			key, err = ring.Open(file, client, secrets)
		}
		if err == nil {
			done, err = s.addWraps(at, raw, ring, key, file, client, secrets)
			return key, done, err
		}
		if ok, failed := anew(); failed != nil || !ok {
			return nil, false, errors.Join(failed, err)
		}
		if err := s.retire(ring, raw, file, client); err != nil {
			return nil, false, err
		}
	}
	ring, key, err := sealed.NewDataKey(file, client, secrets)
	if err != nil {
		return nil, false, err
	}
	err = s.do(func(ctx context.Context, c redis.UniversalClient) error {
		return c.SAdd(ctx, s.layout.clients(), client).Err() // so that rekey finds it
	})
	if err != nil {
		return nil, false, err
	}
	if done, err = s.swapRing(at, raw, ring, file, client); done {
		s.rings.keep(at, ring)
	}
	return key, done, err
}

// retire keeps the ring of grants that were sealed before. What is no ring is kept as it is.
func (s *Store) retire(ring *sealed.KeyRing, raw, file, client string) error {
	if file != sealed.Grants {
		return nil
	}
	id := "damaged"
	if ring != nil {
		id = ring.ID
	}
	_, err := s.durably("the data key of client "+client, textSwap, []string{s.layout.retired(client, id)}, "", raw)
	return err
}

// tokenKey is sealingKey for tokens: it asks Redis only if it does not know the ring.
func (s *Store) tokenKey(client string, secrets [][]byte) (*sealed.DataKey, error) {
	id := s.rings.currentID(s.layout.ring(sealed.Tokens, client))
	if key, complete, ok, err := s.rings.open(id, sealed.Tokens, client, secrets); ok && complete && err == nil {
		return key, nil
	}
	return s.sealingKey(sealed.Tokens, client, secrets, func() (bool, error) { return true, nil })
}
