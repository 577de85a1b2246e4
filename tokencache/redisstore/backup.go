package redisstore

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

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
	fault  error    // a ring that cannot be read, nil = none
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
			c.fault = s.grantError(tokencache.Key{Client: client}, err)
			continue
		}
		c.rings = append(c.rings, ringAt{ring, at, raw, i > 0})
	}
	return c, nil
}

// sound is content for who needs all of it.
func (s *Store) sound(client string) (content, error) {
	c, err := s.content(client)
	if err == nil {
		err = c.fault
	}
	return c, err
}

// Dump is what is stored of grants, as it is stored. Those that Redis has lost are in it as they
// were, if they were read before. What is damaged is missing in it, as are the others; where no grant is left
// there is none.
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
			d.AddRing(sealed.ClientRing{Client: client, Retired: ring.retired, KeyRing: *ring.KeyRing})
		}
		for i, key := range c.keys {
			d.AddGrant(key, []byte(c.packed[i]), placeGrants)
		}
	}
	lost := s.dumpLost(d)
	switch {
	case len(d.Grants) > 0 || len(d.Missing) == 0:
	case len(lost) > 0:
		return nil, s.lost(lost)
	default:
		first := d.Missing[0]
		return nil, s.grantError(first.Key(), fmt.Errorf("%w: %s", tokencache.ErrDamaged, first.Why))
	}
	deleted, err := s.Deleted()
	for key, at := range deleted {
		d.Deletions = append(d.Deletions, sealed.Deletion{Client: key.Client, Account: key.Account, At: at})
	}
	return d, err
}

// dumpLost adds the grants that were lost, and what opens them. It names those that were not read before.
func (s *Store) dumpLost(d *sealed.Dump) (unread []tokencache.Key) {
	for _, key := range s.index.gone() {
		packed := s.index.kept(key)
		ring := s.rings.ring(sealed.KeyOf([]byte(packed)))
		if ring == nil {
			unread = append(unread, key)
			d.Missing = append(d.Missing, sealed.Missing{
				Client: key.Client, Account: key.Account, Why: "Redis has lost it, and this Caddy had not read it before",
			})
			continue
		}
		d.AddRing(sealed.ClientRing{Client: key.Client, Retired: true, KeyRing: *ring})
		d.AddGrant(key, []byte(packed), placeGrants)
	}
	return unread
}
