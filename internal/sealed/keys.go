// Package sealed is the form in which grants, tokens and the keys that seal them are kept,
// whatever keeps them: the files of tokencache/boltstore, Redis, a backup.
//
// keys.go seals, record.go has the forms, checksum.go finds what was damaged.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/lengthprefix"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// What sealed things are bound to, beside client and account: the names of the embedded store,
// for every store, so that what one of them has sealed can be moved to another.
const (
	Grants = "grants.db"
	Tokens = "tokens.db"

	grantsBucket = "grants"
	tokensBucket = "tokens"
	keysBucket   = "keys"
)

// Sealing in two layers. What is stored is sealed by a data key: random, one
// per client and file. The data key is stored beside it, wrapped once by each
// secret that the operator configures. So a secret is rolled over by adding a
// wrap, and no record is written again.

// Place is where something sealed belongs: file, bucket and keys. It is
// authenticated along, so that a record copied to another place does not open.
type Place []string

// Box is something under a data key, named by its id.
type Box struct {
	Key  string `json:"key"`
	Data []byte `json:"sealed"` // 12 bytes of random nonce, AES-256-GCM
}

// KeyRing holds the data key of a client:
//
//	{
//	  "id": "5f0c…",                                  random; each sealed thing names it
//	  "wraps": [                                       one for each secret that opens it
//	    {"key": "9a31…", "salt": "base64", "sealed": "base64"}
//	  ]
//	}
//
// The key that wraps is HKDF-SHA256 of the secret and the salt. The id of a
// secret is another output of HKDF, so it gives nothing away but equality.
type KeyRing struct {
	ID    string `json:"id"`
	Wraps []Wrap `json:"wraps"`
}

// Wrap is the data key, sealed by one secret.
type Wrap struct {
	Key  string `json:"key"`
	Salt []byte `json:"salt"`
	Data []byte `json:"sealed"`
}

// DataKey is an opened data key. raw is kept to wrap it by a further secret.
type DataKey struct {
	ID   string
	raw  []byte
	aead cipher.AEAD
}

const keySize = 32

// NewDataKey makes the data key of a client and wraps it by each secret. Without any secret it
// is a KeyError: nothing could ever open what such a key has sealed.
func NewDataKey(file, client string, secrets [][]byte) (*KeyRing, *DataKey, error) {
	raw, id := make([]byte, keySize), make([]byte, 8)
	_, _ = rand.Read(raw) // never fails
	_, _ = rand.Read(id)
	key, err := makeDataKey(hex.EncodeToString(id), raw)
	if err != nil {
		return nil, nil, err
	}
	ring := &KeyRing{ID: key.ID}
	if _, err := ring.Add(key, file, client, secrets); err != nil {
		return nil, nil, err
	}
	if len(ring.Wraps) == 0 {
		return nil, nil, &KeyError{}
	}
	return ring, key, nil
}

func makeDataKey(id string, raw []byte) (*DataKey, error) {
	aead, err := newAEAD(raw)
	if err != nil {
		return nil, err
	}
	return &DataKey{ID: id, raw: raw, aead: aead}, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Add wraps the key by each secret that has no wrap yet, and reports whether
// there was one.
func (r *KeyRing) Add(key *DataKey, file, client string, secrets [][]byte) (added bool, err error) {
	for _, secret := range secrets {
		if len(secret) == 0 {
			continue
		}
		id, err := SecretID(secret)
		if err != nil {
			return added, err
		}
		if r.find(id) != nil {
			continue
		}
		w := Wrap{Key: id, Salt: make([]byte, 16)}
		_, _ = rand.Read(w.Salt)
		aead, err := wrapper(secret, w.Salt)
		if err != nil {
			return added, err
		}
		w.Data = aead.Seal(nil, nil, key.raw, r.place(file, client, id))
		r.Wraps = append(r.Wraps, w)
		added = true
	}
	return added, nil
}

// Open returns the data key by the first secret that has a wrap. If none has,
// the error is a KeyError; if a wrap does not open by its own secret, it is damage.
func (r *KeyRing) Open(file, client string, secrets [][]byte) (*DataKey, error) {
	unfit := &KeyError{}
	for _, w := range r.Wraps {
		unfit.wanted = append(unfit.wanted, w.Key)
	}
	damaged := false
	for _, secret := range secrets {
		if len(secret) == 0 {
			continue
		}
		id, err := SecretID(secret)
		if err != nil {
			return nil, err
		}
		unfit.offered = append(unfit.offered, id)
		w := r.find(id)
		if w == nil {
			continue
		}
		aead, err := wrapper(secret, w.Salt)
		if err != nil {
			return nil, err
		}
		raw, err := aead.Open(nil, nil, w.Data, r.place(file, client, id))
		if err == nil && len(raw) == keySize {
			return makeDataKey(r.ID, raw)
		}
		damaged = true
	}
	if damaged {
		return nil, fmt.Errorf("%w: the data key of client %q does not open by the key that wrapped it",
			tokencache.ErrDamaged, client)
	}
	return nil, unfit
}

// find is the wrap by a secret, named by its id; nil = there is none.
func (r *KeyRing) find(id string) *Wrap {
	if i := slices.IndexFunc(r.Wraps, func(w Wrap) bool { return w.Key == id }); i >= 0 {
		return &r.Wraps[i]
	}
	return nil
}

// Complete reports whether each secret has a wrap.
func (r *KeyRing) Complete(secrets [][]byte) bool {
	return !slices.ContainsFunc(secrets, func(secret []byte) bool {
		id, err := SecretID(secret)
		return len(secret) > 0 && err == nil && r.find(id) == nil
	})
}

// place is what a wrap is authenticated with: moved to another file, client or ring, it does
// not open.
func (r *KeyRing) place(file, client, secretID string) []byte {
	return lengthprefix.Join(file, keysBucket, client, r.ID, secretID)
}

// Seal seals text for a place.
func (k *DataKey) Seal(text []byte, at Place) Box {
	return Box{Key: k.ID, Data: k.aead.Seal(nil, nil, text, lengthprefix.Join(at...))}
}

// Open opens what was sealed for the same place by this key.
func (k *DataKey) Open(s Box, at Place) ([]byte, error) {
	if s.Key != k.ID {
		return nil, fmt.Errorf("%w: sealed by data key %s, the client's is %s", tokencache.ErrWrongKey, s.Key, k.ID)
	}
	text, err := k.aead.Open(nil, nil, s.Data, lengthprefix.Join(at...))
	if err != nil {
		return nil, fmt.Errorf("%w: the sealed data was altered, or belongs elsewhere", tokencache.ErrDamaged)
	}
	return text, nil
}

// SecretID names a secret in files and messages. It stays the same wherever the secret is
// used, so that an operator can tell which one is meant.
func SecretID(secret []byte) (string, error) {
	id, err := hkdf.Key(sha256.New, secret, nil, "caddy-zoho tokencache: id of a secret", 8)
	return hex.EncodeToString(id), err
}

// wrapper seals data keys by a secret. Each wrap has a salt, so that one secret gives each
// another key.
func wrapper(secret, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, salt, "caddy-zoho tokencache: wraps a data key", keySize)
	if err != nil {
		return nil, err
	}
	return newAEAD(key)
}

// Digest tells one list of secrets from another, in memory only.
func Digest(secrets [][]byte) [sha256.Size]byte {
	parts := make([]string, len(secrets))
	for i, s := range secrets {
		parts[i] = string(s)
	}
	return sha256.Sum256(lengthprefix.Join(parts...))
}

// KeyError says which keys a client's data key is wrapped by, and which ones
// were offered. Ids reveal nothing of the keys.
type KeyError struct{ wanted, offered []string }

func (e *KeyError) Error() string {
	return fmt.Sprintf("%v: sealed under key id %s, offered %s",
		tokencache.ErrWrongKey, listIDs(e.wanted), listIDs(e.offered))
}

func (e *KeyError) Unwrap() error { return tokencache.ErrWrongKey }

func listIDs(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, ", ")
}
