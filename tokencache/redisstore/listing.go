package redisstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Lists name accounts that may have no grant (yet, or any more), and never miss one that has:
// an account is listed before its grant is written, and taken off after it was deleted. So
// each that is listed is looked for. Lists and grants part all the same where Redis forgets a part of
// them: a node of a cluster fails over, or somebody deletes a key. Then whoever knows the grant lists it
// again when it next looks (relist), and who does not when it is asked for by name (LoadGrant).

// enlist lists accounts that have a grant, or are to get one.
func (s *Store) enlist(keys ...tokencache.Key) error { return s.addTo(s.layout.accounts, keys) }

// enlistDeleted lists accounts whose grant is deleted, or is to be.
func (s *Store) enlistDeleted(keys ...tokencache.Key) error { return s.addTo(s.layout.deletions, keys) }

// addTo adds accounts to a list of their client, and the client to that of all.
func (s *Store) addTo(list func(client string) string, keys []tokencache.Key) error {
	_, err := pipelined(s, keys, func(ctx context.Context, pipe redis.Pipeliner, key tokencache.Key) *redis.IntCmd {
		pipe.SAdd(ctx, s.layout.clients(), key.Client)
		return pipe.SAdd(ctx, list(key.Client), key.Account)
	})
	return err
}

// enlistFound lists accounts anew that have a grant. If that fails the next look finds them.
func (s *Store) enlistFound(keys []tokencache.Key) {
	if err := s.enlist(keys...); err != nil {
		s.warnings.Warn("%s: an account that has a grant could not be listed yet: %v", s.Name(), err)
	}
}

// delist takes an account off the list whose grant was deleted, unless it has one again.
func (s *Store) delist(key tokencache.Key) error {
	err := s.do(func(ctx context.Context, c redis.UniversalClient) error {
		return c.SRem(ctx, s.layout.accounts(key.Client), key.Account).Err()
	})
	if err != nil {
		return err
	}
	back, err := s.get(s.layout.grant(key))
	if err == nil && back != "" {
		err = s.enlist(key)
	}
	return err
}

// clients are those that have or had something here.
func (s *Store) clients() (clients []string, err error) {
	err = s.do(func(ctx context.Context, c redis.UniversalClient) (err error) {
		clients, err = c.SMembers(ctx, s.layout.clients()).Result()
		return err
	})
	slices.Sort(clients)
	return clients, err
}

// listed are the connections of a client that may have a grant.
func (s *Store) listed(client string) ([]tokencache.Key, error) {
	return s.members(s.layout.accounts, client)
}

// members are the accounts of clients that their lists name.
func (s *Store) members(list func(client string) string, clients ...string) (keys []tokencache.Key, err error) {
	replies, err := pipelined(s, clients, func(ctx context.Context, pipe redis.Pipeliner, client string) *redis.StringSliceCmd {
		return pipe.SMembers(ctx, list(client))
	})
	for i, reply := range replies {
		for _, account := range reply.Val() {
			if key := (tokencache.Key{Client: clients[i], Account: account}); checkKey(key) == nil {
				keys = append(keys, key)
			}
		}
	}
	return keys, err
}

// stored are the connections of a client that have a grant.
func (s *Store) stored(client string) ([]tokencache.Key, error) {
	keys, err := s.listed(client)
	if err != nil {
		return nil, err
	}
	return s.existing(keys, s.layout.grant)
}

// existing are those of the connections at which there is something.
func (s *Store) existing(keys []tokencache.Key, at func(tokencache.Key) string) (found []tokencache.Key, err error) {
	replies, err := pipelined(s, keys, func(ctx context.Context, pipe redis.Pipeliner, key tokencache.Key) *redis.IntCmd {
		return pipe.Exists(ctx, at(key))
	})
	for i, reply := range replies {
		if reply.Val() > 0 {
			found = append(found, keys[i])
		}
	}
	return found, err
}

// packedGrants are all grants of a client as they are stored.
func (s *Store) packedGrants(client string) (keys []tokencache.Key, packed []string, err error) {
	listed, err := s.listed(client)
	if err != nil {
		return nil, nil, err
	}
	replies, err := pipelined(s, listed, func(ctx context.Context, pipe redis.Pipeliner, key tokencache.Key) *redis.StringCmd {
		return pipe.Get(ctx, s.layout.grant(key))
	})
	for i, reply := range replies {
		if reply.Val() != "" {
			keys, packed = append(keys, listed[i]), append(packed, reply.Val())
		}
	}
	return keys, packed, err
}

// relist reads anew which grants are stored, and returns those that came or went unnoticed.
// What this process knew and nobody has deleted is lost then; it stays listed, so that its
// account says why it is not served. With trust what is known and listed is not looked for, unless
// somebody was about to delete it, and may have died before others were told.
func (s *Store) relist(trust bool) (changed []tokencache.Key, err error) {
	begun := time.Now()
	left := setOf(s.index.all())
	clients, err := s.clients()
	if err != nil {
		return nil, err
	}
	listed, err := s.members(s.layout.accounts, clients...)
	if err != nil {
		return nil, err
	}
	marked, err := s.members(s.layout.deletions, clients...)
	if err != nil {
		return nil, err
	}
	deleted := setOf(marked)
	var unsure []tokencache.Key
	for _, key := range listed {
		if trust && left[key] && !deleted[key] && !s.index.isGone(key) {
			delete(left, key)
		} else {
			unsure = append(unsure, key)
		}
	}
	found, err := s.existing(unsure, s.layout.grant)
	if err != nil {
		return nil, err
	}
	for _, key := range found {
		delete(left, key)
		if s.index.noteFound(key) {
			changed = append(changed, key)
		}
	}
	gone, err := s.settleMissing(slices.Collect(maps.Keys(left)))
	if err == nil && !trust {
		s.noteLooked(begun)
	}
	return append(changed, gone...), err
}

func (s *Store) noteLooked(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = at
}

func (s *Store) lookedLately() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.looked) < relistPause
}

// relistPause is how long lists that somebody has looked through are trusted.
const relistPause = 30 * time.Second

// settleMissing settles what became of grants that were known and not found, and returns those whose state
// is another one now. One that is there after all was stored since, or is missing in the list alone.
func (s *Store) settleMissing(keys []tokencache.Key) (changed []tokencache.Key, err error) {
	there, err := s.existing(keys, s.layout.grant)
	if err != nil {
		return nil, err
	}
	deleted, err := s.existing(keys, s.layout.deleted)
	if err != nil {
		return nil, err
	}
	isThere, isDeleted := setOf(there), setOf(deleted)
	var lost []tokencache.Key
	for _, key := range keys {
		switch {
		case isThere[key]:
			s.index.noteFound(key)
		case isDeleted[key]:
			s.index.remove(key)
			changed = append(changed, key)
		case s.index.lose(key):
			lost = append(lost, key)
		}
	}
	s.enlistFound(there)
	if len(lost) > 0 {
		slices.SortFunc(lost, tokencache.Key.Compare)
		s.warnings.Report("%v", s.lost(lost))
	}
	return append(changed, lost...), nil
}

func setOf(keys []tokencache.Key) map[tokencache.Key]bool {
	set := make(map[tokencache.Key]bool, len(keys))
	for _, key := range keys {
		set[key] = true
	}
	return set
}

// lost is the error of grants that are gone from Redis.
func (s *Store) lost(keys []tokencache.Key) *tokencache.StoreError {
	return &tokencache.StoreError{
		File: s.Name(),
		Reason: fmt.Sprintf("Redis was emptied, was replaced or failed over, and has lost %s: %s",
			words.Plural(len(keys), "stored grant"), words.SomeOf(keys)),
		Remedy: "bring them back with `caddy zoho restore FILE`, or connect these accounts again. Until then each replica goes on with " +
			"those that it has used before, until it restarts",
		Err:         errLost,
		Replaceable: len(keys) == 1,
		Partly:      true,
	}
}

// errLost is behind the refusal of grants that are gone from Redis.
var errLost = fmt.Errorf("%w: it is gone", tokencache.ErrDamaged)

// CheckGrants says why what is stored of grants cannot be relied on, nil if it can. It reads the
// lists each time, and from time to time looks for each grant: there may be very many.
func (s *Store) CheckGrants() error {
	if _, err := s.readAbout(); err != nil { // follow compares it with the one before
		return err
	}
	if _, err := s.relist(s.lookedLately()); err != nil {
		return err
	}
	if gone := s.index.gone(); len(gone) > 0 {
		return s.lost(gone)
	}
	return nil
}
