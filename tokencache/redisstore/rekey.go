package redisstore

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// tokenRing is the ring that seals the tokens of a client, nil if there is none that can be read.
func (s *Store) tokenRing(client string) (*ringAt, error) {
	at := s.layout.ring(sealed.Tokens, client)
	raw, err := s.get(at)
	if err != nil {
		return nil, err
	}
	ring, err := unpackRing(raw, sealed.Tokens, client)
	if err != nil {
		return nil, nil
	}
	return &ringAt{ring, at, raw, false}, nil
}

// KeysInUse says by which keys the store is sealed. Tokens are counted of accounts with a stored grant.
func (s *Store) KeysInUse(first string) (use sealed.KeysInUse, err error) {
	clients, err := s.clients()
	if err != nil {
		return use, err
	}
	for _, client := range clients {
		c, err := s.sound(client)
		if err != nil {
			return use, err
		}
		for _, ring := range c.rings {
			use.Add(ring.KeyRing, first, func() (n int) {
				for _, packed := range c.packed {
					if sealed.KeyOf([]byte(packed)) == ring.ID {
						n++
					}
				}
				return n
			})
		}
		tokens, err := s.tokenRing(client)
		if err != nil {
			return use, err
		}
		if tokens == nil {
			continue
		}
		replies, err := pipelined(s, c.keys, func(ctx context.Context, pipe redis.Pipeliner, key tokencache.Key) *redis.StringCmd {
			return pipe.HGet(ctx, s.layout.record(key), "token")
		})
		if err != nil {
			return use, err
		}
		use.Add(tokens.KeyRing, first, func() (n int) {
			for _, reply := range replies {
				if reply.Val() != "" {
					n++
				}
			}
			return n
		})
	}
	return use, nil
}

// errChanged says that somebody else has changed a key meanwhile: it is looked at again.
var errChanged = errors.New("changed meanwhile")

// Rekey has all data keys wrapped by the secrets of their client, and by no others.
func (s *Store) Rekey(of func(client string) [][]byte) (done sealed.Rekeyed, err error) {
	if _, err := s.relist(false); err != nil {
		return done, err
	}
	clients, err := s.clients()
	if err != nil {
		return done, err
	}
	for _, client := range clients {
		for tries := 1; ; tries++ {
			before := done
			before.Unopened = slices.Clone(done.Unopened)
			if err := s.rekeyClient(&done, client, of(client)); err == nil {
				break
			} else if !errors.Is(err, errChanged) || tries == maxTries {
				return done, err
			}
			done = before
		}
	}
	return done, nil
}

func (s *Store) rekeyClient(done *sealed.Rekeyed, client string, secrets [][]byte) error {
	c, err := s.sound(client)
	if err != nil {
		return err
	}
	opened := make(map[string]*sealed.DataKey)
	for _, ring := range c.rings {
		if opened[ring.ID], err = s.rewrap(done, ring, sealed.Grants, client, secrets); err != nil {
			return err
		}
	}
	if err := s.reseal(done, c, opened); err != nil {
		return err
	}
	tokens, err := s.tokenRing(client)
	if err == nil && tokens != nil {
		_, err = s.rewrap(done, *tokens, sealed.Tokens, client, secrets)
	}
	return err
}

func (s *Store) rewrap(done *sealed.Rekeyed, ring ringAt, file, client string, secrets [][]byte) (*sealed.DataKey, error) {
	key := done.Rewrap(ring.KeyRing, file, client, secrets)
	if key == nil {
		return nil, nil
	}
	swapped, err := s.swapRing(ring.at, ring.raw, ring.KeyRing, file, client)
	if err == nil && !swapped {
		err = errChanged
	}
	if err == nil {
		s.rings.keep(ring.at, ring.KeyRing)
	}
	return key, err
}

// reseal seals grants by the data key of today that are sealed by one of before.
func (s *Store) reseal(done *sealed.Rekeyed, c content, opened map[string]*sealed.DataKey) error {
	if len(c.rings) == 0 || c.rings[0].retired || opened[c.rings[0].ID] == nil {
		return nil
	}
	today := c.rings[0].ID
	var keys []tokencache.Key
	var anew []string
	var writes []write
	for i, key := range c.keys {
		before := opened[sealed.KeyOf([]byte(c.packed[i]))]
		if before == nil || before == opened[today] {
			continue
		}
		packed, err := s.resealed(key, c.packed[i], before, opened[today])
		if err != nil {
			return err
		}
		keys, anew = append(keys, key), append(anew, packed)
		writes = append(writes, write{"the grant of " + key.String(), textSwap, []string{s.layout.grant(key)}, []any{c.packed[i], packed}})
	}
	replies, err := s.durablyAll(writes)
	var changed []tokencache.Key
	for i, reply := range replies {
		switch {
		case whole(reply) == 1:
			s.index.note(keys[i], anew[i])
			changed = append(changed, keys[i])
		case err == nil:
			err = errChanged
		}
	}
	done.Moved += len(changed)
	s.announceGrants(changed)
	return err
}

// resealed is a grant sealed by another data key.
func (s *Store) resealed(key tokencache.Key, packed string, before, today *sealed.DataKey) (string, error) {
	var w sealed.Grant
	if err := sealed.Unpack([]byte(packed), &w, placeGrants, key.Client, key.Account); err != nil {
		return "", s.unreadable(key, err)
	}
	g, err := w.Open(before, key)
	if err != nil {
		return "", s.unreadable(key, err)
	}
	return packGrant(key, today, g)
}
