package redisstore

import (
	"errors"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Opens says why none of the secrets opens the data key by which a client's grants are sealed
// now, nil if one does, or if the client has no grant.
func (s *Store) Opens(client string, secrets [][]byte) error {
	if len(s.index.list(client)) == 0 {
		return nil
	}
	raw, err := s.get(s.layout.ring(sealed.Grants, client))
	if err != nil || raw == "" {
		return err
	}
	ring, err := unpackRing(raw, sealed.Grants, client)
	if err == nil {
		_, err = ring.Open(sealed.Grants, client, secrets)
	}
	if err != nil {
		return s.grantError(tokencache.Key{Client: client}, err)
	}
	return nil
}

// AddWraps wraps the data keys of clients by each of their secrets that has no wrap yet. Keys
// that none of the secrets opens stay as they are: whoever needs one is told. An error says
// that a secret may not be relied on alone yet.
func (s *Store) AddWraps(secrets map[string][][]byte) error {
	var errs []error
	for client, offered := range secrets {
		ids, err := s.ringIDs(client)
		errs = append(errs, err)
		for _, r := range ids {
			err := s.wrap(r.file, client, r.id, offered)
			if !errors.Is(err, tokencache.ErrWrongKey) && !errors.Is(err, tokencache.ErrDamaged) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// ringID names a data key of a client.
type ringID struct{ file, id string }

// ringIDs are those by which something of a client is sealed: grants name theirs.
func (s *Store) ringIDs(client string) (ids []ringID, err error) {
	found := make(map[ringID]bool)
	for _, file := range []string{sealed.Grants, sealed.Tokens} {
		raw, err := s.get(s.layout.ring(file, client))
		if err != nil {
			return nil, err
		}
		if ring, err := unpackRing(raw, file, client); err == nil {
			found[ringID{file, ring.ID}] = true
		}
	}
	_, packed, err := s.packedGrants(client)
	if err != nil {
		return nil, err
	}
	for _, value := range packed {
		if id := sealed.KeyOf([]byte(value)); id != "" {
			found[ringID{sealed.Grants, id}] = true
		}
	}
	for id := range found {
		ids = append(ids, id)
	}
	return ids, nil
}
