package boltstore

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/ownership"
	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Warnings lists what does not stop the store but should be looked at: modes
// that let others read, owners, files set aside, records that cannot be read.
func (b *Store) Warnings() (all []string) {
	for _, c := range b.exposed() {
		all = append(all, c.What)
	}
	return append(all, b.warnings.Latest()...)
}

// Concerns are Warnings and Returned with their reasons, and what to do.
func (b *Store) Concerns() (all []tokencache.Concern) {
	all = append(all, b.exposed()...)
	if returned := b.Returned(); len(returned) > 0 {
		all = append(all, tokencache.Concern{
			What: returnedText(returned),
			Why:  "an old grants.db was put in place",
			Do:   "remove them with `caddy zoho forget` or `revoke`, or connect these accounts again",
		})
	}
	for _, text := range b.warnings.Latest() {
		all = append(all, explainNoticed(text))
	}
	return all
}

// explainNoticed explains what was noticed since Caddy opened the store.
func explainNoticed(text string) tokencache.Concern {
	c := tokencache.Concern{
		What: text,
		Why:  "Caddy noticed this after it opened the file; a machine crash or a failing disk causes that",
		Do: "access tokens need nothing, because Caddy requests new ones; " + otherwiseTold +
			"; if this happens again, check the disk",
	}
	if strings.Contains(text, tokencache.ErrWrongKey.Error()) {
		c.Why = "it was sealed by another key: encryption_key was changed, or the client's secret and the master key, " +
			"and the previous one was removed; or the store belongs to another Caddy"
		c.Do = "add the previous key after the new one in encryption_key or client_secret; " +
			"access tokens need nothing, because Caddy requests new ones; " + otherwiseTold
	}
	return c
}

// otherwiseTold is where to read of grants.
const otherwiseTold = "`caddy zoho status` names each account whose grant is affected"

// exposed says who else than this process can get at the files. On a disk that hangs, it says what it has found
// last; that the disk hangs is an error of the calls that need it.
func (b *Store) exposed() []tokencache.Concern {
	found, err := ask(&b.tokens, turn.Patience, func() (found []tokencache.Concern, _ error) {
		for _, text := range b.tooOpen() {
			found = append(found, tokencache.Concern{
				What:   text,
				Why:    "anyone who copies the store and learns a client secret has the grants",
				Do:     "do that, and find out who changed it",
				Failed: true,
			})
		}
		for _, text := range b.strange() {
			found = append(found, tokencache.Concern{
				What:   text,
				Why:    "the owner of a file of the store, or of its folder, can replace it",
				Do:     "change the owner as shown, and find out who set it",
				Failed: true,
			})
		}
		return found, nil
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.open = found
	}
	return slices.Clone(b.open)
}

// strange lists what of the store belongs to another user than the one of this process. It is told where
// this is root; to others such a store is refused. The caller has the turn of tokens.db.
func (b *Store) strange() []string {
	var list []string
	for path := range b.modes() {
		if info, err := os.Lstat(path); err == nil {
			uid, strange := ownership.Stranger(info)
			text := fmt.Sprintf("%s: %s: %s", path, ownership.Told(uid), ownership.Remedy(path))
			switch {
			case strange && path == b.dir:
				return []string{text} // which is also what to do about the files
			case strange:
				list = append(list, text)
			}
		}
	}
	slices.Sort(list)
	return list
}

// tooOpen lists files with modes that let others than their owner read them. The caller has the turn of tokens.db.
func (b *Store) tooOpen() []string {
	var list []string
	for path, limit := range b.modes() {
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink == 0 && info.IsDir() == (path == b.dir) && info.Mode().Perm()&^limit != 0 {
			list = append(list, fmt.Sprintf("%s has mode %04o, so users other than its owner can access it: chmod %04o it",
				path, info.Mode().Perm(), limit))
		}
	}
	slices.Sort(list)
	return list
}
