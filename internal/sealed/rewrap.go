package sealed

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Rewrap has the ring wrapped by these secrets and by no other one. It counts the wraps that
// were added and dropped. A ring that none of them opens stays as it is, and the error says so.
func (r *KeyRing) Rewrap(file, client string, secrets [][]byte) (key *DataKey, added, dropped int, err error) {
	if key, err = r.Open(file, client, secrets); err != nil {
		return nil, 0, 0, err
	}
	before := len(r.Wraps)
	if _, err := r.Add(key, file, client, secrets); err != nil {
		return nil, 0, 0, err
	}
	added = len(r.Wraps) - before
	ids, err := SecretIDs(secrets)
	if err != nil {
		return nil, 0, 0, err
	}
	all := len(r.Wraps)
	r.Wraps = slices.DeleteFunc(r.Wraps, func(w Wrap) bool { return !slices.Contains(ids, w.Key) })
	return key, added, all - len(r.Wraps), nil
}

// WrapIDs are the ids of the keys that wrap the ring.
func (r *KeyRing) WrapIDs() []string {
	ids := make([]string, len(r.Wraps))
	for i, w := range r.Wraps {
		ids[i] = w.Key
	}
	return ids
}

// HasIDs reports whether the names of the ring and of the keys that wrap it are such as we make:
// messages show them.
func (r *KeyRing) HasIDs() bool {
	return isID(r.ID) && !slices.ContainsFunc(r.Wraps, func(w Wrap) bool { return !isID(w.Key) })
}

func isID(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && 0 < len(raw) && len(raw) <= sha256.Size
}

// WrappedBy reports whether one of these keys wraps the ring.
func (r *KeyRing) WrappedBy(ids ...string) bool {
	return slices.ContainsFunc(r.Wraps, func(w Wrap) bool { return slices.Contains(ids, w.Key) })
}

// SecretIDs are the ids of secrets, but for empty ones.
func SecretIDs(secrets [][]byte) ([]string, error) {
	var ids []string
	for _, secret := range secrets {
		if len(secret) == 0 {
			continue
		}
		id, err := SecretID(secret)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Rekeyed counts what was done to have all data keys wrapped by the configured keys alone.
type Rekeyed struct {
	DataKeys int        `json:"data_keys"`     // that the configured keys open
	Added    int        `json:"wraps_added"`   // by configured keys that had none
	Dropped  int        `json:"wraps_dropped"` // by keys that are not configured any more
	Moved    int        `json:"grants_moved"`  // sealed anew by the data key that seals today
	Unopened []Unopened `json:"unopened,omitempty"`
}

// Unopened is a data key that none of the configured keys opens. It stays as it is.
type Unopened struct {
	Client string   `json:"client"`
	File   string   `json:"file"` // Grants or Tokens
	ID     string   `json:"data_key"`
	Wanted []string `json:"wanted"` // the ids of the keys that open it
}

// Rewrap is KeyRing.Rewrap for a ring in a file, and counts what it did. key is nil where none
// of the secrets opens the ring, which then has to stay as it is.
func (d *Rekeyed) Rewrap(r *KeyRing, file, client string, secrets [][]byte) (key *DataKey) {
	key, added, dropped, err := r.Rewrap(file, client, secrets)
	if err != nil {
		d.Unopened = append(d.Unopened, Unopened{Client: client, File: file, ID: r.ID, Wanted: r.WrapIDs()})
		return nil
	}
	d.DataKeys++
	d.Added += added
	d.Dropped += dropped
	return key
}

// KeysInUse says by which keys a store is sealed.
type KeysInUse struct {
	IDs     []string // of all keys that wrap a data key, sorted
	Without int      // grants and tokens whose data key has no wrap by the key that was asked about
}

// Add counts a ring: records says how many are sealed by its data key.
func (u *KeysInUse) Add(r *KeyRing, first string, records func() int) {
	u.IDs = append(u.IDs, r.WrapIDs()...)
	slices.Sort(u.IDs)
	u.IDs = slices.Compact(u.IDs)
	if !r.WrappedBy(first) {
		u.Without += records()
	}
}

// TokenKey is the id of the data key that seals the token of a record as Pack has it, "" for a
// record without a token, and for one that cannot be read.
func TokenKey(packed []byte, key tokencache.Key) string {
	var w Record
	if Unpack(packed, &w, tokensBucket, key.Client, key.Account) != nil || w.Token == nil {
		return ""
	}
	return w.Token.Key
}
