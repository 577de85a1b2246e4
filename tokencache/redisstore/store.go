// Package redisstore keeps the grants and records of package tokencache in Redis, for several
// processes: the replicas of a fleet. What it holds of secrets is sealed, so that Redis and
// whoever can read it learn none.
//
// layout.go says what there is, and lua what is done to it in one step. server.go stands
// between all that and go-redis: breaker.go answers while Redis is away, reason.go says why,
// guard.go bounds what it answers.
// rings.go has the data keys, store.go the type of the store; grants.go, records.go, leases.go,
// ledgers.go and values.go keep one kind of thing each; deleted.go remembers grants that were deleted, and backup.go and
// rekey.go have many of them at once. Grants are written by durable.go and listed by
// listing.go; about.go tells this Redis from another one. follow.go opens the store, and follows
// what others change, as changes.go has it. concerns.go says what an operator should look at.
//
// A grant costs a human to bring back, so what cannot be read of one is an error and nothing
// overwrites it. Redis can lose grants all the same: it is emptied, or fails over to a replica
// that had not heard of them. What this process knew, and nobody has deleted, is then told by
// name (listing.go), and served on where it was read.
package redisstore

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/internal/warnings"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Store is a tokencache.Shared in Redis. Safe for concurrent use.
type Store struct {
	config   Config
	layout   layout
	process  string // tells own changes from those of others
	warnings warnings.List
	watchers watchers
	index    index
	rings    ringCache
	newest   generations

	open atomic.Pointer[server]                // nil before Open, and after Close
	deaf atomic.Pointer[tokencache.StoreError] // why Redis does not tell what others change, nil while it does
	stop func()                                // ends follow

	mu     sync.Mutex // guards what follows
	id     string     // of this Redis, as about has it; "" before it was read
	looked time.Time  // when each grant was last looked for
}

// New returns the store. It opens nothing.
func New(config Config) *Store {
	return &Store{
		config: config, layout: layout{config.Prefix}, process: rand.Text(),
	}
}

// Name says where the store is, without credentials.
func (s *Store) Name() string { return s.config.Name() }

// UnreportedWarnings are the warnings since the last call.
func (s *Store) UnreportedWarnings() []string { return s.warnings.Unreported() }

// opened is the server between Open and Close.
func (s *Store) opened() (*server, error) {
	server := s.open.Load()
	if server == nil {
		return nil, closedError(s.Name())
	}
	return server, nil
}

// do makes a call to Redis.
func (s *Store) do(call call) error {
	server, err := s.opened()
	if err != nil {
		return err
	}
	return server.do(call)
}

// look is do for Concerns.
func (s *Store) look(call call) error {
	server, err := s.opened()
	if err != nil {
		return err
	}
	return server.look(call)
}

// run runs a script.
func (s *Store) run(script *redis.Script, keys []string, args ...any) (reply any, err error) {
	err = s.do(func(ctx context.Context, c redis.UniversalClient) (err error) {
		reply, err = script.Run(ctx, c, keys, args...).Result()
		return err
	})
	return reply, err
}

// get reads a value, "" if there is none.
func (s *Store) get(key string) (value string, err error) {
	err = s.do(func(ctx context.Context, c redis.UniversalClient) (err error) {
		value, err = c.Get(ctx, key).Result()
		return err
	})
	return value, err
}

// Watch calls f for what other processes change.
func (s *Store) Watch(f func(tokencache.Change)) (stop func()) { return s.watchers.add(f) }

// whole is a number that a script has returned.
func whole(reply any) int64 {
	n, _ := reply.(int64)
	return n
}

var _ tokencache.Shared = (*Store)(nil)
