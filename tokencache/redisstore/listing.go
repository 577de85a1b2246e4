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
// each that is listed is looked for.

// enlist lists accounts of a client that have a grant, or are to get one.
func (s *Store) enlist(key tokencache.Key, more ...tokencache.Key) error {
	return s.addTo(s.layout.accounts, key, more...)
}

// enlistDeleted lists accounts of a client whose grant is deleted, or is to be.
func (s *Store) enlistDeleted(key tokencache.Key, more ...tokencache.Key) error {
	return s.addTo(s.layout.deletions, key, more...)
}

// addTo adds accounts of a client to one of its lists, and the client to that of all.
func (s *Store) addTo(list func(client string) string, key tokencache.Key, more ...tokencache.Key) error {
	accounts := []any{key.Account}
	for _, other := range more {
		accounts = append(accounts, other.Account)
	}
	return s.do(func(ctx context.Context, c redis.UniversalClient) error {
		_, err := c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.SAdd(ctx, s.layout.clients(), key.Client)
			pipe.SAdd(ctx, list(key.Client), accounts...)
			return nil
		})
		return err
	})
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

// listed are the connections of a client that may have a grant.
func (s *Store) listed(client string) ([]tokencache.Key, error) {
	return s.members(client, s.layout.accounts(client))
}

// members are the accounts of a client that a list names.
func (s *Store) members(client, list string) (keys []tokencache.Key, err error) {
	var accounts []string
	err = s.do(func(ctx context.Context, c redis.UniversalClient) (err error) {
		accounts, err = c.SMembers(ctx, list).Result()
		return err
	})
	for _, account := range accounts {
		if key := (tokencache.Key{Client: client, Account: account}); checkKey(key) == nil {
			keys = append(keys, key)
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
func (s *Store) packedGrants(client string) (packed []string, err error) {
	keys, err := s.listed(client)
	if err != nil {
		return nil, err
	}
	replies, err := pipelined(s, keys, func(ctx context.Context, pipe redis.Pipeliner, key tokencache.Key) *redis.StringCmd {
		return pipe.Get(ctx, s.layout.grant(key))
	})
	for _, reply := range replies {
		if reply.Val() != "" {
			packed = append(packed, reply.Val())
		}
	}
	return packed, err
}

// pipelined asks something of each connection, some at once, so that others get in between.
func pipelined[T any](s *Store, keys []tokencache.Key,
	ask func(context.Context, redis.Pipeliner, tokencache.Key) T) (replies []T, err error) {
	const some = 1000
	for part := range slices.Chunk(keys, some) {
		err := s.do(func(ctx context.Context, c redis.UniversalClient) error {
			_, err := c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				for _, key := range part {
					replies = append(replies, ask(ctx, pipe, key))
				}
				return nil
			})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// relist reads anew which grants are stored, and returns those that came or went unnoticed.
// What this process knew and nobody has deleted is lost then; it stays listed, so that its
// account says why it is not served. With trust what is known and listed is not looked for.
func (s *Store) relist(trust bool) (changed []tokencache.Key, err error) {
	s.listing.Lock()
	defer s.listing.Unlock()
	if !trust {
		s.looked = time.Now()
	}
	missing := setOf(s.index.all())
	listed, err := s.listedOfAll()
	if err != nil {
		return nil, err
	}
	var unsure []tokencache.Key
	for _, key := range listed {
		if trust && missing[key] && !s.index.isGone(key) {
			delete(missing, key)
		} else {
			unsure = append(unsure, key)
		}
	}
	found, err := s.existing(unsure, s.layout.grant)
	if err != nil {
		return nil, err
	}
	for _, key := range found {
		delete(missing, key)
		if s.index.found(key) {
			changed = append(changed, key)
		}
	}
	gone, err := s.missing(slices.Collect(maps.Keys(missing)))
	return append(changed, gone...), err
}

func (s *Store) lookedLately() bool {
	s.listing.Lock()
	defer s.listing.Unlock()
	return time.Since(s.looked) < relistPause
}

// relistPause is how long lists that somebody has looked through are trusted.
const relistPause = 30 * time.Second

// listedOfAll are the connections of all clients that may have a grant.
func (s *Store) listedOfAll() (keys []tokencache.Key, err error) {
	var clients []string
	err = s.do(func(ctx context.Context, c redis.UniversalClient) (err error) {
		clients, err = c.SMembers(ctx, s.layout.clients()).Result()
		return err
	})
	for _, client := range clients {
		of, failed := s.listed(client)
		if failed != nil {
			return nil, failed
		}
		keys = append(keys, of...)
	}
	return keys, err
}

// missing settles what became of grants that were known and are not listed any more, and
// returns those whose state is another one now.
func (s *Store) missing(keys []tokencache.Key) (changed []tokencache.Key, err error) {
	there, err := s.existing(keys, s.layout.grant) // stored since, or not listed
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
			s.index.found(key)
		case isDeleted[key]:
			s.index.remove(key)
			changed = append(changed, key)
		case !s.index.isGone(key):
			s.index.lose(key)
			lost = append(lost, key)
		}
	}
	if len(lost) > 0 {
		slices.SortFunc(lost, compareKeys)
		s.report("%v", s.lost(lost))
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
		Reason: fmt.Sprintf("Redis was emptied, replaced or has failed over, and has lost %s: %s",
			words.Plural(len(keys), "stored grant"), nameSome(keys)),
		Remedy: "bring them back by `caddy zoho restore FILE`, or connect these accounts anew. Until then each replica goes on with " +
			"those that it has used before, and not beyond a restart",
		Err:         errLost,
		Replaceable: len(keys) == 1,
		Partly:      true,
	}
}

// errLost is behind the refusal of grants that are gone from Redis.
var errLost = fmt.Errorf("%w: it is gone", tokencache.ErrDamaged)

// nameSome names connections, some of them: a message is to be read.
func nameSome(keys []tokencache.Key) string {
	const some = 10
	var names []string
	for _, key := range keys[:min(len(keys), some)] {
		names = append(names, key.String())
	}
	return words.Some(names, some, len(keys))
}

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
