package doctor

import (
	"fmt"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/sealing"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// examineStore looks at the store, its keys and what it has noticed.
func (s *Subject) examineStore() (found adminapi.Findings) {
	store := s.Store
	found.Add(s.examineReadWrite()...)
	found.Add(s.examineMasterKey()...)
	for _, text := range store.TooOpen() {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultFailed,
			What:   text,
			Why:    "whoever can copy the store and learns a client secret has the grants",
			Do:     "do that, and see who made it so",
		})
	}
	for _, text := range store.Strange() {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultFailed,
			What:   text,
			Why:    "whoever owns a file of the store, or its folder, can replace it",
			Do:     "change the owner as shown, and find out who set it",
		})
	}
	if text := ReturnedGrants(store); text != "" {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultWarning,
			What:   text,
			Why:    "an old grants.db was put in place",
			Do:     "take them away by `caddy zoho forget` or `revoke`, or connect these accounts anew",
		})
	}
	for _, text := range store.Noticed() {
		found.Add(noticed(text))
	}
	found.Add(s.examineKeys()...)
	if len(found) == 0 {
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckStore,
			Result: adminapi.ResultOK,
			What:   "the store can be written: " + s.Dir,
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
		found.Add(examineSecret("encryption_key", "", key)...)
		if value, err := key.Resolve(); err == nil && secret.Guessable(value) {
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

// noticed explains what the store has noticed since Caddy opened it.
func noticed(text string) adminapi.Finding {
	f := adminapi.Finding{
		Check:  adminapi.CheckStore,
		Result: adminapi.ResultWarning,
		What:   text,
		Why:    "noticed since Caddy has opened the file: a crash of the machine or a failing disk does that",
		Do: "nothing for tokens, which are asked for anew; what concerns a grant is told with its " +
			"account. If it comes again, see to the disk",
	}
	if strings.Contains(text, tokencache.ErrWrongKey.Error()) {
		f.Why = "it was sealed by another key: an encryption_key, or the client's secret and the master key, " +
			"were changed and those before were taken away, or the store is another Caddy's"
		f.Do = "add the key of before as a further one, of encryption_key or client_secret; nothing for tokens, " +
			"which are asked for anew; what concerns a grant is told with its account"
	}
	return f
}

// ReturnedGrants names grants that were deleted here and are stored all the same, some of
// them.
func ReturnedGrants(store *boltstore.Store) string {
	const some = 10
	keys := store.Returned()
	if len(keys) == 0 {
		return ""
	}
	var names []string
	for _, key := range keys[:min(len(keys), some)] {
		names = append(names, key.String())
	}
	return "grants that were deleted here are stored again: " + words.Some(names, some, len(keys))
}
