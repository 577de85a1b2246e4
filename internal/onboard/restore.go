package onboard

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// RestoreOptions say what a backup may change of what is here.
type RestoreOptions struct {
	Replace bool // also accounts that have a grant
	Deleted bool // also accounts that were deleted here
	DryRun  bool // change nothing
}

// Outcome is what becomes of a grant of a backup.
type Outcome string

// The outcomes.
const (
	Restored   Outcome = "restored"
	Replaced   Outcome = "replaced"   // the grant that the account had
	Kept       Outcome = "kept"       // the account has a grant here
	Configured Outcome = "configured" // the account's grant comes from the configuration
	Gone       Outcome = "deleted"    // the account was deleted here, and stays so
	LeftOut    Outcome = "left out"   // nothing opens it, or it cannot be stored
)

// Restore stores grants of a backup, by account, as far as the account has none here: the
// grants were proved where they were given, and Zoho is not asked. What becomes of each is told.
// The error is the store's, and nothing was stored then. Changes at this replica wait meanwhile. If
// another one connects an account at the same moment, the later of the two wins.
func (f *Flow) Restore(
	cl *Client, grants map[string]tokencache.Grant, o RestoreOptions,
) (map[string]Outcome, error) {
	f.changing.Lock()
	defer f.changing.Unlock()
	deleted, err := f.store.Deleted()
	if err != nil {
		return nil, err
	}
	outcomes, stored := make(map[string]Outcome), make(map[string]tokencache.Grant)
	for account, grant := range grants {
		key := cl.key(account)
		_, wasDeleted := deleted[key]
		outcome := cl.outcome(account, f.store.HasGrant(key) && !f.store.Lost(key), wasDeleted, o)
		if outcomes[account] = outcome; outcome == Restored || outcome == Replaced {
			stored[account] = grant
		}
	}
	if o.DryRun || len(stored) == 0 {
		return outcomes, nil
	}
	err = f.store.SaveGrants(cl.Name, cl.Cache.Secrets(), stored, o.Replace)
	accounts := slices.Sorted(maps.Keys(stored))
	for _, account := range accounts {
		f.cache.GrantChanged(cl.key(account)) // on a disk that fails it may be there all the same
	}
	if err != nil {
		return nil, err
	}
	f.Restored(cl.Name, accounts)
	return outcomes, nil
}

func (cl *Client) outcome(account string, hasGrant, deleted bool, o RestoreOptions) Outcome {
	switch {
	case cl.configured(account):
		return Configured
	case hasGrant && o.Replace:
		return Replaced
	case hasGrant:
		return Kept
	case deleted && !o.Deleted:
		return Gone
	}
	return Restored
}

// TakeDeletions notes which accounts were deleted where a backup comes from, as far as they have
// no grant here. It gives back how many are new.
func (f *Flow) TakeDeletions(deletions map[tokencache.Key]time.Time, o RestoreOptions) (int, error) {
	f.changing.Lock()
	defer f.changing.Unlock()
	known, err := f.store.Deleted()
	if err != nil {
		return 0, err
	}
	maps.DeleteFunc(deletions, func(key tokencache.Key, _ time.Time) bool {
		_, noted := known[key]
		return noted || f.store.HasGrant(key)
	})
	if o.DryRun || len(deletions) == 0 {
		return len(deletions), nil
	}
	if err := f.store.MarkDeleted(deletions); err != nil {
		return 0, err
	}
	return len(deletions), nil
}

// CanRestore says why nothing can be restored now: what is stored cannot be read, so that it is
// not known which accounts have a grant. Damage of some of them is no reason: a backup mends that.
func (f *Flow) CanRestore() error {
	err := f.store.CheckGrants()
	var partly *tokencache.StoreError
	if err == nil || errors.As(err, &partly) && partly.Partly {
		return nil
	}
	return err
}
