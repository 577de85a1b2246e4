package admin

import (
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/audit"
	"github.com/caddy-zoho/caddy-zoho/internal/backup"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
)

// restore takes in a backup. What opens it is what is configured: the request brings no key.
func (e endpoint) restore(w http.ResponseWriter, r *http.Request) error {
	m, err := e.only(http.MethodPost, r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	options := onboard.RestoreOptions{
		Replace: query.Get("replace") == "true",
		Deleted: query.Get("deleted") == "true",
		DryRun:  query.Get("dry_run") == "true",
	}
	answer, err := m.restored(w, r, options)
	if !options.DryRun {
		act := audit.Act{Action: "restore", By: peer(r), Err: err}
		if answer != nil {
			act.Grants = answer.Counts[onboard.Restored] + answer.Counts[onboard.Replaced]
		}
		m.Audit.Act(act)
	}
	if err != nil {
		return err
	}
	if !options.DryRun {
		m.Logger.Info("a backup was restored", zap.String("by", peer(r)), zap.Time("made", answer.Backup.Made),
			zap.Any("accounts", answer.Counts))
	}
	return adminapi.WriteJSON(w, answer)
}

func (m *Managed) restored(w http.ResponseWriter, r *http.Request, o onboard.RestoreOptions) (*adminapi.Restored, error) {
	file, _, err := backup.Keep(http.MaxBytesReader(w, r.Body, backup.MaxSize))
	if err != nil {
		return nil, unreadable(err)
	}
	defer backup.Forget(file)
	answer, err := backup.Target{Flow: m.Flow, Client: m.onboardClient, Secrets: m.secretsOf}.Restore(file, o)
	if err != nil {
		return answer, storeFailed(err)
	}
	return answer, nil
}

// unreadable says what is wrong with a backup.
func unreadable(err error) error {
	var damaged *sealed.BackupError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &damaged):
		return adminapi.Refuse(http.StatusBadRequest, adminapi.CodeDamagedBackup, "%v; nothing was restored", err)
	case errors.As(err, &large):
		return adminapi.Refuse(http.StatusRequestEntityTooLarge, "too-large",
			"the backup is larger than %d MiB; nothing was restored", large.Limit>>20)
	}
	return adminapi.Refuse(http.StatusServiceUnavailable, "not-received", "the backup was not received: %v; nothing was restored", err)
}

// onboardClient is a client as onboarding knows it, nil if it is not configured.
func (m *Managed) onboardClient(name string) *onboard.Client {
	if c := m.client(name); c != nil {
		return c.Onboard()
	}
	return nil
}

// secretsOf are those that may open what is stored of a client, configured or not.
func (m *Managed) secretsOf(name string) [][]byte {
	if c := m.client(name); c != nil {
		return c.SealingSecrets()
	}
	return m.Sealing.Secrets(nil)
}
