package redisstore

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Deleted says when grants were deleted that were not stored again since.
func (s *Store) Deleted() (map[tokencache.Key]time.Time, error) {
	clients, err := s.clients()
	if err != nil {
		return nil, err
	}
	keys, err := s.members(s.layout.deletions, clients...)
	if err != nil {
		return nil, err
	}
	replies, err := pipelined(s, keys, func(ctx context.Context, pipe redis.Pipeliner, key tokencache.Key) *redis.StringCmd {
		return pipe.Get(ctx, s.layout.deleted(key))
	})
	deleted := make(map[tokencache.Key]time.Time)
	for i, reply := range replies {
		if at, err := time.Parse(time.RFC3339Nano, reply.Val()); err == nil {
			deleted[keys[i]] = at
		}
	}
	return deleted, err
}

// MarkDeleted notes that of grants that were deleted elsewhere. What is noted already stays.
func (s *Store) MarkDeleted(deleted map[tokencache.Key]time.Time) error {
	keys := slices.SortedFunc(maps.Keys(deleted), tokencache.Key.Compare)
	var writes []write
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return err
		}
		at := sealed.UTC(deleted[key]).Format(time.RFC3339Nano)
		writes = append(writes, write{"the deletion of " + key.String(), textSwap, []string{s.layout.deleted(key)}, []any{"", at}})
	}
	if err := s.enlistDeleted(keys...); err != nil {
		return err
	}
	_, err := s.durablyAll(writes)
	return err
}
