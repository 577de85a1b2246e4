package doctor

import (
	"fmt"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/sealing"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
)

// examineStore looks at the store, its keys and what it has noticed.
func (s *Subject) examineStore() (found adminapi.Findings) {
	found.Add(s.examineReadWrite()...)
	found.Add(s.examineMasterKey()...)
	for _, c := range s.Store.Concerns() {
		result := adminapi.ResultWarning
		if c.Failed {
			result = adminapi.ResultFailed
		}
		found.Add(adminapi.Finding{Check: adminapi.CheckStore, Result: result, What: c.What, Why: c.Why, Do: c.Do})
	}
	found.Add(s.examineKeys()...)
	if len(found) == 0 {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultOK,
			What:   "the store can be written: " + s.Store.Name(),
		})
	}
	return found
}

// examineReadWrite looks whether the store can be written, and its grants be read.
func (s *Subject) examineReadWrite() (found adminapi.Findings) {
	if err := s.Store.TryWrite(); err != nil {
		told := cause.Of(cause.Unwritten, cause.Facts{})
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultFailed,
			What:   told.What,
			Why:    err.Error(),
			Do:     told.Do,
		})
	}
	if err := s.Store.CheckGrants(); err != nil {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultFailed,
			What:   "the stored grants cannot be read",
			Why:    err.Error(),
			Do:     "mend that: their accounts get no tokens until then",
		})
	}
	return found
}

// examineKeys looks at the keys that the store is sealed by.
func (s *Subject) examineKeys() (found adminapi.Findings) {
	for _, key := range s.Sealing.Keys() {
		found.Add(examineSecret("encryption_key", "", key, secret.Ref.Resolve)...)
		value, err := key.Resolve()
		if err != nil {
			continue
		}
		if secret.HasQuotes(value) {
			found.Add(adminapi.Finding{
				Check:  adminapi.CheckStore,
				Result: adminapi.ResultWarning,
				What:   secret.QuotesWarning,
				Why:    "`docker --env-file` and some other programs keep the quotes of a file",
				Do: "take the quotes away before grants are stored; afterwards, put the key without quotes first, " +
					"this one second, and run `caddy zoho rekey`",
			})
		}
		if secret.Guessable(value) {
			found.Add(adminapi.Finding{
				Check:  adminapi.CheckStore,
				Result: adminapi.ResultWarning,
				What:   "an encryption_key is short enough to be guessed",
				Why:    "whoever has a copy of the store can try all short ones",
				Do:     "make one by `openssl rand -base64 32`",
			})
		}
	}
	return found
}

// examineMasterKey looks at the key of our own, where one is used.
func (s *Subject) examineMasterKey() (found adminapi.Findings) {
	if !s.Sealing.ByMasterKey() {
		return nil
	}
	key, err := s.Sealing.MasterKey()
	if err == nil && key == nil {
		err = fmt.Errorf("%s is missing", s.Sealing.MasterKeyFile())
	}
	if err != nil {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultWarning,
			What:   sealing.Without(s.Store, s.Secrets()),
			Why:    err.Error(),
			Do: "mend that, or put the file back if there is a copy; one that is missing is made at the " +
				"next start or reload, unless stored grants cannot be opened",
		})
	}
	return append(found, examineFile("", s.Sealing.MasterKeyRef())...)
}
