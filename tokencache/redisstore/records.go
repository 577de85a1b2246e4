package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-zoho/caddy-zoho/internal/lengthprefix"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Load returns the record of a connection, and whether there is one. A token that the secrets do
// not open is left out. A record that cannot be read counts as none; a warning tells.
func (s *Store) Load(key tokencache.Key, secrets [][]byte) (r tokencache.Record, found bool, err error) {
	var stored []any
	err = s.do(func(ctx context.Context, c redis.UniversalClient) (err error) {
		stored, err = c.HMGet(ctx, s.layout.record(key), "record", "token", "with").Result()
		return err
	})
	if err != nil || len(stored) < 3 {
		return r, false, err
	}
	packed, ok := stored[0].(string)
	if !ok {
		return r, false, nil
	}
	var w sealed.Record
	damaged := sealed.Unpack([]byte(packed), &w, placeTokens, key.Client, key.Account)
	if with, _ := stored[2].(string); with != "" && damaged == nil {
		damaged = restoreToken(&w, key, with)
	}
	if damaged == nil {
		r, damaged = w.Record()
	}
	if damaged != nil {
		s.warnings.Warn("%s: the record of %s is damaged and counts as none", s.Name(), key)
		return tokencache.Record{}, false, nil
	}
	s.newest.note(key, r.Generation)
	if token, _ := stored[1].(string); token != "" {
		if r.Token, err = s.openToken(key, w, token, secrets); err != nil {
			return tokencache.Record{}, false, err
		}
	}
	return r, true, nil
}

// restoreToken gives a record what it came with, where it was saved by a process that does not open its token.
func restoreToken(w *sealed.Record, key tokencache.Key, with string) error {
	var before sealed.Record
	err := sealed.Unpack([]byte(with), &before, placeTokens, key.Client, key.Account)
	w.Issued, w.Expiry, w.RenewAt, w.APIDomain, w.Scope = before.Issued, before.Expiry, before.RenewAt, before.APIDomain, before.Scope
	return err
}

// openToken opens the token of a record, "" if it cannot be opened; the error is one of asking Redis.
func (s *Store) openToken(key tokencache.Key, w sealed.Record, packed string, secrets [][]byte) (string, error) {
	w.Token = new(sealed.Box)
	err := sealed.Unpack([]byte(packed), w.Token, placeTokens, key.Client, key.Account, "token")
	if err == nil {
		var dataKey *sealed.DataKey
		if dataKey, err = s.openingKey(sealed.Tokens, key.Client, w.Token.Key, secrets); err == nil {
			var token string
			if token, err = w.OpenToken(dataKey, key); err == nil {
				return token, nil
			}
		}
	}
	var known *tokencache.StoreError
	switch {
	case errors.As(err, &known):
		return "", err
	case errors.Is(err, tokencache.ErrWrongKey):
		s.warnings.Warn("%s: tokens of client %q are ignored: %v", s.Name(), key.Client, err)
	default:
		s.warnings.Warn("%s: the token of %s is ignored: %v", s.Name(), key, err)
	}
	return "", nil
}

// Save writes the record of a connection, unless a newer one is there.
func (s *Store) Save(key tokencache.Key, secrets [][]byte, r tokencache.Record) error {
	if err := checkKey(key); err != nil {
		return err
	}
	w := sealed.NewRecord(r)
	token, keyErr := s.sealToken(key, w, r.Token, secrets)
	var known *tokencache.StoreError
	if errors.As(keyErr, &known) {
		return keyErr
	}
	packed, err := sealed.Pack(w, placeTokens, key.Client, key.Account)
	if err != nil {
		return err
	}
	mark := ""
	if token != "" {
		mark = markOf(r)
	}
	reply, err := s.run(scriptSave, []string{s.layout.record(key)},
		strconv.FormatUint(r.Generation, 10), w.Fingerprint, mark, digestOf(w, mark), packed, token, recordLife.Milliseconds())
	switch {
	case err != nil:
		return err
	case whole(reply) == 0:
		return fmt.Errorf("record of %s: %w", key, tokencache.ErrOutdated)
	case whole(reply) == 2:
		s.announce(tokencache.Change{Key: key})
	}
	s.newest.note(key, r.Generation)
	if keyErr != nil {
		return s.grantError(key, keyErr)
	}
	return nil
}

// sealToken is the stored form of a token, "" if there is none or if nothing seals it.
func (s *Store) sealToken(key tokencache.Key, w sealed.Record, token string, secrets [][]byte) (string, error) {
	if token == "" {
		return "", nil
	}
	dataKey, err := s.tokenKey(key.Client, secrets)
	if err != nil {
		return "", err
	}
	w.SealToken(dataKey, key, token)
	packed, err := sealed.Pack(w.Token, placeTokens, key.Client, key.Account, "token")
	return string(packed), err
}

// markOf tells one token from another. A token is too long to be guessed, so this gives
// nothing away.
func markOf(r tokencache.Record) string {
	sum := sha256.Sum256(lengthprefix.Join("mark of a token", r.Fingerprint.String(), r.Token))
	return hex.EncodeToString(sum[:16])
}

// digestOf tells whether something was changed that others want to know: not when it was used.
func digestOf(w sealed.Record, mark string) string {
	w.Used = time.Time{}
	text, _ := json.Marshal(w)
	sum := sha256.Sum256(lengthprefix.Join(string(text), mark))
	return hex.EncodeToString(sum[:8])
}
