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
