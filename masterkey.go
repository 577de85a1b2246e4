package caddyzoho

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/masterkey"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
)

// The key of our own, which wraps the data keys of the store beside the client secrets:
// Zoho's console can make a secret anew, and shows only the new one from then on.

// provisionMasterKey finds out where the key is. Nothing that is wrong with it keeps Caddy
// from starting: the client secrets go on sealing and opening.
func (a *App) provisionMasterKey(storeDir string) error {
	path, err := filepath.Abs(cmp.Or(a.MasterKeyFile, filepath.Join(caddy.AppDataDir(), "zoho-master.key")))
	if err != nil {
		return fmt.Errorf("zoho: master_key_file %s: %w", a.MasterKeyFile, err)
	}
	path = resolved(path)
	a.master = masterkey.New(path)
	if !a.sealsByMasterKey() {
		if a.MasterKeyFile != "" {
			a.logger.Warn("master_key_file is not used: encryption_key seals what is stored")
		}
		return nil
	}
	if within(storeDir, path) {
		a.misplaced = fmt.Errorf("%s is in the folder of the store, where a copy of the store takes it along: name another place by master_key_file", path)
		a.logger.Warn(noMasterKey, zap.Error(a.misplaced))
	}
	a.warnOfSecretFiles(a.masterKeySecret())
	return nil
}

// sealsByMasterKey tells whether the key is used at all.
func (a *App) sealsByMasterKey() bool { return len(a.EncryptionKey) == 0 }

// within tells whether a path is below a folder.
func within(folder, path string) bool {
	rest, err := filepath.Rel(folder, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, ".."+string(filepath.Separator))
}

// masterKeySecret is the reference by which the key can be configured as any other secret.
func (a *App) masterKeySecret() secret.Ref { return secret.InFile(a.master.Path()) }

const noMasterKey = "what is stored is sealed by the client secrets alone: a secret that Zoho's console makes anew locks it"

// masterKey is the key as far as it is to be used, nil if there is none.
func (a *App) masterKey() ([]byte, error) {
	if !a.sealsByMasterKey() || a.misplaced != nil {
		return nil, a.misplaced
	}
	return a.master.Key()
}

// makeMasterKey makes the key where it is missing, unless something is stored that cannot
// be opened: the key may only be elsewhere, and a new one would hide that.
func (a *App) makeMasterKey() error {
	if !a.sealsByMasterKey() || a.misplaced != nil {
		return nil
	}
	if key, err := a.master.Key(); err != nil || key != nil {
		return err
	}
	for _, name := range a.clientNames() {
		if err := a.state.store.Opens(name, a.Clients[name].sealingSecrets()); err != nil {
			return fmt.Errorf("%s is missing, and is not made while grants of client %s cannot be opened: %w", a.master.Path(), name, err)
		}
	}
	if err := a.master.Make(); err != nil {
		return fmt.Errorf("%s is missing and could not be made: %w", a.master.Path(), err)
	}
	a.logger.Info("made a key that opens the store if a client secret is lost", zap.String("master_key_file", a.master.Path()))
	return nil
}

// seal has each data key wrapped by all that shall open it. What fails costs nothing yet,
// since what has opened the store so far does so still.
func (a *App) seal() error {
	err := a.makeMasterKey()
	if err != nil {
		err = fmt.Errorf("%s: %w", noMasterKey, err)
	}
	secrets := make(map[string][][]byte)
	for name, client := range a.Clients {
		secrets[name] = client.sealingSecrets()
	}
	if failed := a.state.store.AddWraps(secrets); failed != nil {
		err = errors.Join(err, fmt.Errorf("a secret does not open all of the store yet, do not take the one before away: %w", failed))
	}
	return err
}
