package boltstore

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

// Sealing in two layers. What is stored is sealed by a data key: random, one
// per client and file. The data key is stored beside it, wrapped once by each
// secret that the operator configures. So a secret is rolled over by adding a
// wrap, and no record is written again.

// place is where something sealed belongs: file, bucket and keys. It is
// authenticated along, so that a record copied to another place does not open.
type place []string

// sealed is something under a data key, named by its id.
type sealed struct {
	Key  string `json:"key"`
	Data []byte `json:"sealed"` // 12 bytes of random nonce, AES-256-GCM
}

// keyRing holds the data key of a client:
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
type keyRing struct {
	ID    string `json:"id"`
	Wraps []wrap `json:"wraps"`
}

type wrap struct {
	Key  string `json:"key"`
	Salt []byte `json:"salt"`
	Data []byte `json:"sealed"`
}

// dataKey is an opened data key. raw is kept to wrap it by a further secret.
type dataKey struct {
	id   string
	raw  []byte
	aead cipher.AEAD
}

// keyName says which data key of a client: the one that seals, or with an id
// one that a grant was sealed by.
type keyName struct{ client, id string }

// cachedKey is an opened data key and the list of secrets that opened it, so
// that a key is not derived at each call, and not given for another secret.
type cachedKey struct {
	*dataKey
	secrets  [sha256.Size]byte
	complete bool // each secret has a wrap
}

const keySize = 32

// newDataKey makes the data key of a client and wraps it by each secret. Without any secret it
// is a keyError: nothing could ever open what such a key has sealed.
func newDataKey(file, client string, secrets [][]byte) (*keyRing, *dataKey, error) {
	raw, id := make([]byte, keySize), make([]byte, 8)
	_, _ = rand.Read(raw) // never fails
	_, _ = rand.Read(id)
	key, err := makeDataKey(hex.EncodeToString(id), raw)
	if err != nil {
		return nil, nil, err
	}
	ring := &keyRing{ID: key.id}
	if _, err := ring.add(key, file, client, secrets); err != nil {
		return nil, nil, err
	}
	if len(ring.Wraps) == 0 {
		return nil, nil, &keyError{}
	}
	return ring, key, nil
}

func makeDataKey(id string, raw []byte) (*dataKey, error) {
	aead, err := newAEAD(raw)
	if err != nil {
		return nil, err
	}
	return &dataKey{id: id, raw: raw, aead: aead}, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// add wraps the key by each secret that has no wrap yet, and reports whether
// there was one.
func (r *keyRing) add(key *dataKey, file, client string, secrets [][]byte) (added bool, err error) {
	for _, secret := range secrets {
		if len(secret) == 0 {
			continue
		}
		id, err := secretID(secret)
		if err != nil {
			return added, err
		}
		if r.find(id) != nil {
			continue
		}
		w := wrap{Key: id, Salt: make([]byte, 16)}
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

// open returns the data key by the first secret that has a wrap. If none has,
// the error is a keyError; if a wrap does not open by its own secret, it is damage.
func (r *keyRing) open(file, client string, secrets [][]byte) (*dataKey, error) {
	unfit := &keyError{}
	for _, w := range r.Wraps {
		unfit.wanted = append(unfit.wanted, w.Key)
	}
	damaged := false
	for _, secret := range secrets {
		if len(secret) == 0 {
			continue
		}
		id, err := secretID(secret)
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
func (r *keyRing) find(id string) *wrap {
	if i := slices.IndexFunc(r.Wraps, func(w wrap) bool { return w.Key == id }); i >= 0 {
		return &r.Wraps[i]
	}
	return nil
}

// complete reports whether each secret has a wrap.
func (r *keyRing) complete(secrets [][]byte) bool {
	return !slices.ContainsFunc(secrets, func(secret []byte) bool {
		id, err := secretID(secret)
		return len(secret) > 0 && err == nil && r.find(id) == nil
	})
}

// place is what a wrap is authenticated with: moved to another file, client or ring, it does
// not open.
func (r *keyRing) place(file, client, secretID string) []byte {
	return lengthprefix.Join(file, bucketKeys, client, r.ID, secretID)
}

// seal seals text for a place.
func (k *dataKey) seal(text []byte, at place) sealed {
	return sealed{Key: k.id, Data: k.aead.Seal(nil, nil, text, lengthprefix.Join(at...))}
}

// open opens what was sealed for the same place by this key.
func (k *dataKey) open(s sealed, at place) ([]byte, error) {
	if s.Key != k.id {
		return nil, fmt.Errorf("%w: sealed by data key %s, the client's is %s", tokencache.ErrWrongKey, s.Key, k.id)
	}
	text, err := k.aead.Open(nil, nil, s.Data, lengthprefix.Join(at...))
	if err != nil {
		return nil, fmt.Errorf("%w: what is sealed was altered, or belongs elsewhere", tokencache.ErrDamaged)
	}
	return text, nil
}

// secretID names a secret in files and messages. It stays the same wherever the secret is
// used, so that an operator can tell which one is meant.
func secretID(secret []byte) (string, error) {
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

// digest tells one list of secrets from another, in memory only.
func digest(secrets [][]byte) [sha256.Size]byte {
	parts := make([]string, len(secrets))
	for i, s := range secrets {
		parts[i] = string(s)
	}
	return sha256.Sum256(lengthprefix.Join(parts...))
}

// keyError says which keys a client's data key is wrapped by, and which ones
// were offered. Ids reveal nothing of the keys.
type keyError struct{ wanted, offered []string }

func (e *keyError) Error() string {
	return fmt.Sprintf("%v: sealed under key id %s, offered %s",
		tokencache.ErrWrongKey, listIDs(e.wanted), listIDs(e.offered))
}

func (e *keyError) Unwrap() error { return tokencache.ErrWrongKey }

func listIDs(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, ", ")
}
