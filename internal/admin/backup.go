package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/audit"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
)

// serveBackup gives out what is stored of grants, as it is stored. The admin endpoint has no
// login: so nothing is unsealed for it, and the request brings no key.
func (e endpoint) serveBackup(w http.ResponseWriter, r *http.Request) error {
	m, err := e.only(http.MethodGet, r)
	if err != nil {
		return err
	}
	dump, header, err := m.backup(r.URL.Query().Get("with_master_key_elsewhere") == "true")
	if err == nil {
		w.Header().Set("Content-Type", adminapi.BackupType)
		err = sealed.WriteBackup(w, header, dump)
	}
	act := audit.Act{Action: "backup", By: peer(r), Err: err}
	if dump != nil {
		act.Grants = len(dump.Grants)
	}
	m.Audit.Act(act)
	switch {
	case err != nil:
	case len(dump.Missing) > 0:
		m.Logger.Error("an incomplete backup was created: it lacks what is damaged in the store",
			zap.String("by", peer(r)), zap.Int("grants", len(dump.Grants)), zap.Strings("missing", missing(dump)))
	default:
		m.Logger.Info("a backup was created", zap.String("by", peer(r)), zap.Int("grants", len(dump.Grants)))
	}
	return err
}

// missing are the accounts that are not in a backup, each with the reason.
func missing(dump *sealed.Dump) (all []string) {
	for _, m := range dump.Missing {
		all = append(all, m.String())
	}
	return all
}

// backup is what a backup holds, and what it says of itself.
func (m *Managed) backup(masterKeyElsewhere bool) (*sealed.Dump, sealed.BackupHeader, error) {
	header := sealed.BackupHeader{Made: time.Now(), Store: m.Store.Name()}
	if m.Sealing.ByMasterKey() && !masterKeyElsewhere {
		return nil, header, refuseWithoutKey("a backup", "or, if you keep a copy of that key elsewhere, say so with --with-master-key-elsewhere",
			m.Sealing.MasterKeyFile())
	}
	dump, err := m.Store.Dump()
	if err != nil {
		return nil, header, storeFailed(err)
	}
	if header.Keys, err = m.neededKeys(dump); err != nil {
		return nil, header, err
	}
	return dump, header, m.checkWraps(dump, header.Keys)
}

// refuseWithoutKey is for what makes sense only with a key that is kept elsewhere.
func refuseWithoutKey(what, otherwise, masterKeyFile string) error {
	e := adminapi.Refuse(http.StatusConflict, adminapi.CodeNoEncryptionKey,
		"no encryption_key is configured: the client secrets and %s on this machine seal the store; "+
			"%s is useful only with a key that is kept elsewhere", masterKeyFile, what)
	e.Hint = "make a key with `openssl rand -base64 32 > /etc/caddy-zoho/encryption_key`, and keep a copy elsewhere; " +
		"write `encryption_key {file./etc/caddy-zoho/encryption_key} {file." + masterKeyFile + "}` in the global option zoho, and reload " +
		"(a key in an environment variable needs a restart)"
	if otherwise != "" {
		e.Hint += "; " + otherwise
	}
	return e
}

// neededKeys are the configured keys that open one of the data keys.
func (m *Managed) neededKeys(dump *sealed.Dump) (keys []sealed.NeededKey, err error) {
	add := func(secret []byte, what string) {
		id, failed := sealed.SecretID(secret)
		known := slices.ContainsFunc(keys, func(k sealed.NeededKey) bool { return k.ID == id })
		used := slices.ContainsFunc(dump.Rings, func(ring sealed.ClientRing) bool { return ring.WrappedBy(id) })
		if err = failed; err == nil && used && !known {
			keys = append(keys, sealed.NeededKey{ID: id, What: what})
		}
	}
	for _, ref := range m.Sealing.Keys() {
		value, failed := ref.Resolve()
		if failed != nil {
			return nil, adminapi.Refuse(http.StatusConflict, problem.CodeStore, "encryption_key: %v", failed)
		}
		add([]byte(value), "encryption_key "+ref.String())
	}
	if m.Sealing.ByMasterKey() {
		if key, _ := m.Sealing.MasterKey(); key != nil {
			add(key, "master_key_file "+m.Sealing.MasterKeyFile())
		}
		for _, c := range m.Clients {
			for _, ref := range c.AllSecrets() {
				if value, failed := ref.Resolve(); failed == nil {
					add([]byte(value), "client_secret of "+c.Name)
				}
			}
		}
	}
	return keys, err
}

// checkWraps refuses a backup that no configured key would open. What data keys of before have
// sealed waits for a key that nobody may have any more: that keeps nobody from a backup of the rest.
func (m *Managed) checkWraps(dump *sealed.Dump, keys []sealed.NeededKey) error {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	for _, ring := range dump.Rings {
		if !ring.Retired && !ring.WrappedBy(ids...) {
			e := adminapi.Refuse(http.StatusConflict, "not-opened",
				"no configured key opens the grants of client %s, which are sealed under key id %s: "+
					"a backup could not be restored", ring.Client, strings.Join(ring.WrapIDs(), ", "))
			e.Hint = "add the previous key after the new one in encryption_key, reload, and run `caddy zoho rekey`"
			return e
		}
	}
	return nil
}

// storeFailed is what to say where the store cannot do it.
func storeFailed(err error) error {
	return adminapi.Refuse(http.StatusServiceUnavailable, problem.CodeStore, "%v", err)
}

// keysInUse says by which keys the store is sealed, nil where that is not known or nobody needs it.
func (m *Managed) keysInUse() *adminapi.Keys {
	values, err := m.Sealing.EncryptionKeys()
	if err != nil || len(values) == 0 {
		return nil
	}
	ids, err := sealed.SecretIDs(values)
	if err != nil {
		return nil
	}
	use, err := m.Store.KeysInUse(ids[0])
	if err != nil {
		return nil
	}
	keys := &adminapi.Keys{First: ids[0], RecordsUnderOldKeys: use.Without}
	for _, id := range ids[1:] {
		if id != ids[0] && !slices.Contains(keys.Further, id) {
			keys.Further = append(keys.Further, id)
		}
	}
	keys.Unconfigured = slices.DeleteFunc(use.IDs, func(id string) bool { return slices.Contains(ids, id) })
	return keys
}

// rekey has all data keys wrapped by the configured keys alone.
func (e endpoint) rekey(w http.ResponseWriter, r *http.Request) error {
	m, err := e.only(http.MethodPost, r)
	if err != nil {
		return err
	}
	if err := readJSON(http.MaxBytesReader(w, r.Body, adminapi.MaxBody), &struct{}{}); err != nil {
		return adminapi.Refuse(http.StatusBadRequest, "bad-body", "%v", err)
	}
	answer, err := m.rekeyed()
	m.Audit.Act(audit.Act{Action: "rekey", By: peer(r), Err: err})
	if err != nil {
		return err
	}
	m.Logger.Info("the store was rekeyed", zap.Strings("keys", answer.Keys), zap.Int("data_keys", answer.DataKeys),
		zap.Int("wraps_added", answer.Added), zap.Int("wraps_dropped", answer.Dropped), zap.Int("unopened", len(answer.Unopened)))
	return adminapi.WriteJSON(w, answer)
}

func (m *Managed) rekeyed() (*adminapi.Rekeyed, error) {
	values, err := m.Sealing.EncryptionKeys()
	if err != nil {
		return nil, adminapi.Refuse(http.StatusConflict, problem.CodeStore,
			"%v; nothing was changed, because that key may have sealed a part of the store", err)
	}
	if len(values) == 0 {
		return nil, refuseWithoutKey("rekeying", "", m.Sealing.MasterKeyFile())
	}
	answer := new(adminapi.Rekeyed)
	if answer.Keys, err = sealed.SecretIDs(values); err != nil {
		return nil, err
	}
	answer.Rekeyed, err = m.Store.Rekey(func(string) [][]byte { return values })
	if err != nil {
		return nil, storeFailed(fmt.Errorf("%w; run it again when that is fixed", err))
	}
	return answer, nil
}
