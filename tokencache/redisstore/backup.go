package redisstore

import (
	"context"
	"errors"
	"fmt"
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
	keys := slices.SortedFunc(maps.Keys(deleted), compareKeys)
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

// SaveGrants stores many grants of a client. All are looked at and sealed before the first is
// written; if Redis fails in between, the error says so, and the same call again completes it.
func (s *Store) SaveGrants(client string, secrets [][]byte, grants map[string]tokencache.Grant, anew bool) error {
	if len(grants) == 0 {
		return nil
	}
	for account, g := range grants {
		if err := checkGrant(tokencache.Key{Client: client, Account: account}, g); err != nil {
			return err
		}
	}
	dataKey, err := s.sealingKey(sealed.Grants, client, secrets, func() (bool, error) {
		stored, err := s.stored(client)
		return anew || len(stored) == 0, err
	})
	if err != nil {
		return s.grantError(tokencache.Key{Client: client}, err)
	}
	stored, err := s.putGrants(client, dataKey, grants)
	if err != nil {
		return fmt.Errorf("%d of %d grants are stored: %w", stored, len(grants), err)
	}
	return nil
}

// content is what a client has of grants, as it is stored.
type content struct {
	keys   []tokencache.Key
	packed []string
	rings  []ringAt // the one that seals first
}

// ringAt is a ring and where it was read.
type ringAt struct {
	*sealed.KeyRing
	at, raw string
	retired bool
}

func (s *Store) content(client string) (c content, err error) {
	if c.keys, c.packed, err = s.packedGrants(client); err != nil {
		return c, err
	}
	ids := make(map[string]bool)
	for _, packed := range c.packed {
		ids[sealed.KeyOf([]byte(packed))] = true
	}
	if len(c.keys) == 0 {
		return c, nil
	}
	places := []string{s.layout.ring(sealed.Grants, client)}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		places = append(places, s.layout.retired(client, id))
	}
	for i, at := range places {
		raw, err := s.get(at)
		if err != nil {
			return c, err
		}
		if raw == "" {
			continue
		}
		ring, err := unpackRing(raw, sealed.Grants, client)
		if err != nil {
			return c, s.grantError(tokencache.Key{Client: client}, err)
		}
		c.rings = append(c.rings, ringAt{ring, at, raw, i > 0})
	}
	return c, nil
}

// Dump is what is stored of grants, as it is stored. Those that Redis has lost are in it as they
// were; if one of them was not read before, there is none: it would pass for complete.
func (s *Store) Dump() (*sealed.Dump, error) {
	if _, err := s.relist(false); err != nil {
		return nil, err
	}
	clients, err := s.clients()
	if err != nil {
		return nil, err
	}
	d := new(sealed.Dump)
	for _, client := range clients {
		c, err := s.content(client)
		if err != nil {
			return nil, err
		}
		for _, ring := range c.rings {
			d.Rings = append(d.Rings, sealed.ClientRing{Client: client, Retired: ring.retired, KeyRing: *ring.KeyRing})
		}
		for i, key := range c.keys {
			g := sealed.AccountGrant{Client: client, Account: key.Account}
			if err := sealed.Unpack([]byte(c.packed[i]), &g.Grant, placeGrants, client, key.Account); err != nil {
				return nil, s.unreadable(key, err)
			}
			d.Grants = append(d.Grants, g)
		}
	}
	if err := s.dumpLost(d); err != nil {
		return nil, err
	}
	deleted, err := s.Deleted()
	for key, at := range deleted {
		d.Deletions = append(d.Deletions, sealed.Deletion{Client: key.Client, Account: key.Account, At: at})
	}
	return d, err
}

// dumpLost adds the grants that were lost, and what opens them.
func (s *Store) dumpLost(d *sealed.Dump) error {
	var unknown []tokencache.Key
	for _, key := range s.index.gone() {
		packed := s.index.kept(key)
		ring := s.rings.ring(sealed.KeyOf([]byte(packed)))
		if ring == nil {
			unknown = append(unknown, key)
			continue
		}
		g := sealed.AccountGrant{Client: key.Client, Account: key.Account}
		if err := sealed.Unpack([]byte(packed), &g.Grant, placeGrants, key.Client, key.Account); err != nil {
			return s.unreadable(key, err)
		}
		d.Grants = append(d.Grants, g)
		if !slices.ContainsFunc(d.Rings, func(r sealed.ClientRing) bool { return r.Client == key.Client && r.ID == ring.ID }) {
			d.Rings = append(d.Rings, sealed.ClientRing{Client: key.Client, Retired: true, KeyRing: *ring})
		}
	}
	if len(unknown) > 0 {
		return s.lost(unknown)
	}
	return nil
}

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
		c, err := s.content(client)
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
	c, err := s.content(client)
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
