package adminapi

import (
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
)

// Codes of backups.
const (
	CodeNoEncryptionKey = "no-encryption-key"
	CodeDamagedBackup   = "damaged-backup"
)

// Restored is the answer of POST /zoho/restore: what became of a backup, or with dry_run what
// would become of it.
type Restored struct {
	DryRun bool                    `json:"dry_run,omitempty"`
	Backup sealed.BackupHeader     `json:"backup"`
	Counts map[onboard.Outcome]int `json:"counts"`
	// Deletions that were taken over.
	Deletions int `json:"deletions"`
	// Data keys and grants that the configured keys open.
	RingsOpened  int `json:"rings_opened"`
	GrantsOpened int `json:"grants_opened"`
	// Accounts by what became of them, of each kind at most MaxAccounts.
	Accounts []RestoredAccount `json:"accounts"`
}

// MaxAccounts is how many accounts of a kind an answer names.
const MaxAccounts = 10_000

// RestoredAccount is what became of an account.
type RestoredAccount struct {
	Client  string          `json:"client"`
	Account string          `json:"account"`
	Result  onboard.Outcome `json:"result"`
	Why     string          `json:"why,omitempty"`
}

// WhyNoClient is why a grant that opens is left out.
const WhyNoClient = "no client of this name is configured"

// Add notes what became of an account.
func (r *Restored) Add(a RestoredAccount) {
	if r.Counts[a.Result]++; r.Counts[a.Result] <= MaxAccounts {
		r.Accounts = append(r.Accounts, a)
	}
}

// Whole reports whether the configured keys open all of it.
func (r *Restored) Whole() bool {
	return r.RingsOpened == r.Backup.Rings && r.GrantsOpened == r.Backup.Grants
}

// Rekeyed is the answer of POST /zoho/rekey.
type Rekeyed struct {
	Keys []string `json:"keys"` // ids of the configured keys, by which all is wrapped now
	sealed.Rekeyed
}

// Keys says by which keys the store is sealed, where encryption_key is configured. Keys are named
// by their ids.
type Keys struct {
	First string `json:"first"` // the first encryption_key, which is to open all
	// Further keys that are configured. They may be taken out when nothing needs them.
	Further []string `json:"further,omitempty"`
	// Keys that open the store and are not configured. rekey drops them.
	Unconfigured []string `json:"unconfigured,omitempty"`
	// Grants and tokens that the first key does not open.
	RecordsUnderOldKeys int `json:"records_under_old_keys"`
}

// BackupType is the media type of a backup.
const BackupType = "application/x-ndjson"
