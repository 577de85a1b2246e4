package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// TryWrite says why the store could not keep what it is given now, nil if it could. It tries each
// kind of thing that Redis's user needs: plain keys, the stream of changes, scripts.
func (s *Store) TryWrite() error {
	err := s.do(func(ctx context.Context, c redis.UniversalClient) error {
		_, err := c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, s.layout.nonce("try"), "", time.Second)
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: s.layout.trial(), MaxLen: 1, Values: []string{"by", s.process}})
			pipe.XRead(ctx, &redis.XReadArgs{Streams: []string{s.layout.trial(), "$"}, Block: -1})
			pipe.Del(ctx, s.layout.trial())
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	var nobody tokencache.Fingerprint
	entry, err := s.EnterCall(nobody, 1, time.Second)
	if err != nil {
		return err
	}
	return s.CompleteCall(nobody, entry.ID, false)
}

// ConsumeNonce reports whether an id is used the first time, and remembers it until then.
func (s *Store) ConsumeNonce(id string, until time.Time) (first bool, err error) {
	life := time.Until(until).Truncate(time.Millisecond)
	if life <= 0 { // nothing is to be remembered
		used, err := s.NonceConsumed(id)
		return !used, err
	}
	at, mine := s.layout.nonce(id), rand.Text()
	err = s.do(func(ctx context.Context, c redis.UniversalClient) (err error) {
		first, err = c.SetNX(ctx, at, mine, life).Result()
		return err
	})
	if err == nil && !first { // the answer to a first try may have been lost
		used, err := s.get(at)
		return used == mine, err
	}
	return first, err
}

// ReturnNonce takes back what ConsumeNonce has noted.
func (s *Store) ReturnNonce(id string) error {
	return s.do(func(ctx context.Context, c redis.UniversalClient) error {
		return c.Del(ctx, s.layout.nonce(id)).Err()
	})
}

// NonceConsumed reports whether ConsumeNonce has seen the id, and remembers it still.
func (s *Store) NonceConsumed(id string) (used bool, err error) {
	err = s.do(func(ctx context.Context, c redis.UniversalClient) error {
		n, err := c.Exists(ctx, s.layout.nonce(id)).Result()
		used = n > 0
		return err
	})
	return used, err
}

// Put keeps a value of a client under a name, in place of the one before.
func (s *Store) Put(client, name string, secrets [][]byte, value []byte, life time.Duration) error {
	dataKey, err := s.tokenKey(client, secrets)
	if err != nil {
		return s.grantError(tokencache.Key{Client: client}, err)
	}
	packed, err := sealed.Pack(dataKey.Seal(value, pendingPlace(client, name)), placePending, client, name)
	if err != nil {
		return err
	}
	life = time.Duration(milliseconds(life)) * time.Millisecond
	return s.do(func(ctx context.Context, c redis.UniversalClient) error {
		return c.Set(ctx, s.layout.pending(client, name), packed, life).Err()
	})
}

// Get returns a value.
func (s *Store) Get(client, name string, secrets [][]byte) (value []byte, found bool, err error) {
	value, _, found, err = s.pending(client, name, secrets)
	return value, found, err
}

// Take returns a value and takes it away: one of those who try gets it. Who cannot open it
// leaves it to somebody who can.
func (s *Store) Take(client, name string, secrets [][]byte) (value []byte, found bool, err error) {
	value, packed, found, err := s.pending(client, name, secrets)
	if err != nil || !found {
		return nil, false, err
	}
	var removed int
	err = s.do(func(ctx context.Context, c redis.UniversalClient) (err error) {
		if removed, err = scriptRemove.Run(ctx, c, []string{s.layout.pending(client, name)}, packed).Int(); err != nil {
			return unrepeatable{err} // gone by a first try, it would pass for somebody else's
		}
		return nil
	})
	if err != nil || removed == 0 {
		return nil, false, err
	}
	return value, true, nil
}

// pending reads a value, and how it is stored. One that cannot be read counts as none; a warning tells.
func (s *Store) pending(client, name string, secrets [][]byte) (value []byte, packed string, found bool, err error) {
	packed, err = s.get(s.layout.pending(client, name))
	if err != nil || packed == "" {
		return nil, "", false, err
	}
	var box sealed.Box
	err = sealed.Unpack([]byte(packed), &box, placePending, client, name)
	if err == nil {
		var dataKey *sealed.DataKey
		if dataKey, err = s.openingKey(sealed.Tokens, client, box.Key, secrets); err == nil {
			value, err = dataKey.Open(box, pendingPlace(client, name))
		}
	}
	var known *tokencache.StoreError
	switch {
	case errors.As(err, &known):
		return nil, "", false, err
	case err != nil:
		s.warnings.Warn("%s: a pending entry of client %q is ignored: %v", s.Name(), client, err)
		return nil, "", false, nil
	}
	return value, packed, true, nil
}
