package onboard

import (
	"errors"
	"fmt"
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
// grants were proved where they were given, and Zoho is not asked. It tells what becomes of each.
// With an error, which is the store's, what has no outcome was not stored.
func (f *Flow) Restore(
	cl *Client, grants map[string]tokencache.Grant, o RestoreOptions,
) (map[string]Outcome, error) {
	if f.fleet && !o.DryRun {
		return f.restoreInTurn(cl, grants, o)
	}
	f.changing.Lock()
	defer f.changing.Unlock()
	outcomes, stored, err := f.outcomes(cl, grants, o)
	if err != nil || o.DryRun || len(stored) == 0 {
		return outcomes, err
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

// outcomes are what would become of grants by what is stored now, and the grants that are to be stored.
func (f *Flow) outcomes(cl *Client, grants map[string]tokencache.Grant, o RestoreOptions) (
	outcomes map[string]Outcome, stored map[string]tokencache.Grant, _ error,
) {
	deleted, err := f.store.Deleted()
	if err != nil {
		return nil, nil, err
	}
	outcomes, stored = make(map[string]Outcome), make(map[string]tokencache.Grant)
	for account, grant := range grants {
		key := cl.key(account)
		_, wasDeleted := deleted[key]
		outcome := cl.outcome(account, f.store.HasGrant(key) && !f.store.Lost(key), wasDeleted, o)
		if outcomes[account] = outcome; outcome.stores() {
			stored[account] = grant
		}
	}
	return outcomes, stored, nil
}

// restoreInTurn restores one account after the other, until the store fails. What another replica has made of an
// account meanwhile counts.
func (f *Flow) restoreInTurn(
	cl *Client, grants map[string]tokencache.Grant, o RestoreOptions,
) (outcomes map[string]Outcome, err error) {
	planned, stored, err := f.outcomes(cl, grants, o)
	if err != nil {
		return nil, err
	}
	outcomes = make(map[string]Outcome)
	var restored []string
	for _, account := range slices.Sorted(maps.Keys(stored)) {
		outcome, failed := f.restoreOne(cl, account, stored[account], planned[account], o)
		if failed != nil {
			err = fmt.Errorf("%s was not restored: %w", cl.key(account), failed)
			break
		}
		if outcomes[account] = outcome; outcome.stores() {
			restored = append(restored, account)
		}
	}
	if len(restored) > 0 {
		f.Restored(cl.Name, restored)
	}
	for account, outcome := range planned {
		if !outcome.stores() {
			outcomes[account] = outcome
		}
	}
	return outcomes, err
}

// restoreOne restores one that is to be stored, unless its account was connected or forgotten since that was planned.
func (f *Flow) restoreOne(
	cl *Client, account string, grant tokencache.Grant, planned Outcome, o RestoreOptions,
) (Outcome, error) {
	key := cl.key(account)
	c, err := f.beginChange(key)
	if err != nil {
		return "", err
	}
	defer c.end()
	if _, _, err := f.store.LoadGrant(key, cl.Cache.Secrets()); errors.Is(err, tokencache.ErrAway) {
		return "", err // what is known here may be old
	}
	known := f.store.HasGrant(key)
	outcome := cl.outcome(account, known && !f.store.Lost(key), planned == Replaced && !known, o)
	if !outcome.stores() {
		return outcome, nil
	}
	if c.late() {
		return "", errChanging(key)
	}
	err = f.store.SaveGrants(cl.Name, cl.Cache.Secrets(), map[string]tokencache.Grant{account: grant}, o.Replace)
	f.cache.GrantChanged(key)
	if err != nil && f.isStored(cl, account, grant) {
		err = nil
	}
	return outcome, err
}

// isStored reports whether a grant got into the store though that has given no answer.
func (f *Flow) isStored(cl *Client, account string, grant tokencache.Grant) bool {
	now, _, err := f.store.LoadGrant(cl.key(account), cl.Cache.Secrets())
	return err == nil && now.RefreshToken == grant.RefreshToken && now.AccountsServer == grant.AccountsServer
}

// stores reports whether a grant of the backup is the account's then.
func (o Outcome) stores() bool { return o == Restored || o == Replaced }

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
