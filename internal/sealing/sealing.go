// Package sealing says which secrets wrap the keys of the store: each encryption_key, or
// without one the secrets of each client and a key of our own. Zoho's console can make a
// client secret anew, and shows only the new one from then on.
package sealing

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/masterkey"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
)

// WithoutMasterKey is what it means that the key of our own cannot be used.
const WithoutMasterKey = "only the client secrets seal the store: a new secret from Zoho's API console locks it"

// locked is what to say instead where it has come to that.
const locked = "a part of the store cannot be opened"

// Without says what it means that the key of our own cannot be used, where the clients have
// these secrets.
func Without(store Store, secrets map[string][][]byte) string {
	for client := range secrets {
		if store.Opens(client, secrets[client]) != nil {
			return locked
		}
	}
	return WithoutMasterKey
}

// Sealing is what a configuration says of it.
type Sealing struct {
	keys      []secret.Ref // encryption_key
	master    *masterkey.File
	misplaced error // why the key in it is not used
}

// New goes by encryption keys, or without any by the key of our own in a file. Nothing that
// is wrong with that one keeps Caddy from starting: the client secrets go on sealing and
// opening. Both paths are absolute, and free of symbolic links.
func New(keys []secret.Ref, masterKeyFile, storeDir string) *Sealing {
	s := &Sealing{keys: keys, master: masterkey.New(masterKeyFile)}
	if within(storeDir, masterKeyFile) {
		s.misplaced = fmt.Errorf(
			"%s is in the store's folder, so a copy of the store contains it: set another place with master_key_file",
			masterKeyFile,
		)
	}
	return s
}

// within reports whether a path is below a folder.
func within(folder, path string) bool {
	rest, err := filepath.Rel(folder, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, ".."+string(filepath.Separator))
}

// Keys are the encryption keys.
func (s *Sealing) Keys() []secret.Ref { return s.keys }

// ByMasterKey reports whether the key of our own is used at all.
func (s *Sealing) ByMasterKey() bool { return len(s.keys) == 0 }

// Misplaced is why the key of our own is not used where it is, nil if it is.
func (s *Sealing) Misplaced() error { return s.misplaced }

// MasterKeyFile is where the key of our own is.
func (s *Sealing) MasterKeyFile() string { return s.master.Path() }

// MasterKeyRef is the reference by which that key can be configured as any other secret.
func (s *Sealing) MasterKeyRef() secret.Ref { return secret.InFile(s.master.Path()) }

// MasterKey is that key as far as it is to be used, nil if there is none.
func (s *Sealing) MasterKey() ([]byte, error) {
	if !s.ByMasterKey() || s.misplaced != nil {
		return nil, s.misplaced
	}
	return s.master.Key()
}

// Secrets wrap the data keys of a client with these secrets.
func (s *Sealing) Secrets(ofClient [][]byte) [][]byte {
	if !s.ByMasterKey() {
		return secret.ResolveAll(s.keys)
	}
	if key, _ := s.MasterKey(); key != nil {
		return append(ofClient, key)
	}
	return ofClient
}

// EncryptionKeys are the values of all encryption keys. That one of them has none now is an
// error: what it has wrapped must not be taken for what nobody configures any more.
func (s *Sealing) EncryptionKeys() ([][]byte, error) {
	var values [][]byte
	for _, key := range s.keys {
		value, err := key.Resolve()
		if err != nil {
			return nil, fmt.Errorf("encryption_key: %w", err)
		}
		values = append(values, []byte(value))
	}
	return values, nil
}

// Store is what is sealed.
type Store interface {
	// Opens tells why none of the secrets opens what is stored of a client, nil if one does.
	Opens(client string, secrets [][]byte) error
	// AddWraps wraps the data keys of clients by each of their secrets.
	AddWraps(secrets map[string][][]byte) error
}

// Apply has each data key wrapped by all that shall open it; of says which secrets those
// are for each client. What fails costs nothing yet, since what has opened the store so
// far does so still.
func (s *Sealing) Apply(store Store, of func() map[string][][]byte, logger *zap.Logger) error {
	secrets := of()
	err := s.makeMasterKey(store, secrets, logger)
	if err != nil {
		err = fmt.Errorf("%s: %w", Without(store, secrets), err)
	}
	if failed := store.AddWraps(of()); failed != nil {
		err = errors.Join(
			err,
			fmt.Errorf("a secret does not open all of the store yet, so do not remove the previous one: %w", failed),
		)
	}
	return err
}

// makeMasterKey makes the key where it is missing, unless something is stored that cannot
// be opened: the key may only be elsewhere, and a new one would hide that.
func (s *Sealing) makeMasterKey(store Store, secrets map[string][][]byte, logger *zap.Logger) error {
	if !s.ByMasterKey() || s.misplaced != nil {
		return nil
	}
	if key, err := s.master.Key(); err != nil || key != nil {
		return err
	}
	for _, client := range slices.Sorted(maps.Keys(secrets)) {
		if err := store.Opens(client, secrets[client]); err != nil {
			return fmt.Errorf(
				"%s is missing, and is not created while grants of client %s cannot be opened: %w",
				s.master.Path(),
				client,
				err,
			)
		}
	}
	if err := s.master.Make(); err != nil {
		return fmt.Errorf("%s is missing and could not be created: %w", s.master.Path(), err)
	}
	logger.Info(
		"created a key that opens the store if a client secret is lost",
		zap.String("master_key_file", s.master.Path()),
	)
	return nil
}
