package boltstore

import (
	"strings"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Concerns are Warnings and Returned with their reasons, and what to do.
func (b *Store) Concerns() (all []tokencache.Concern) {
	for _, text := range b.tooOpen() {
		all = append(all, tokencache.Concern{
			What:   text,
			Why:    "whoever can copy the store and learns a client secret has the grants",
			Do:     "do that, and see who made it so",
			Failed: true,
		})
	}
	for _, text := range b.strange() {
		all = append(all, tokencache.Concern{
			What:   text,
			Why:    "whoever owns a file of the store, or its folder, can replace it",
			Do:     "change the owner as shown, and find out who set it",
			Failed: true,
		})
	}
	if returned := b.Returned(); len(returned) > 0 {
		all = append(all, tokencache.Concern{
			What: returnedText(returned),
			Why:  "an old grants.db was put in place",
			Do:   "take them away by `caddy zoho forget` or `revoke`, or connect these accounts anew",
		})
	}
	for _, text := range b.noticed() {
		all = append(all, explainNoticed(text))
	}
	return all
}

// explainNoticed explains what was noticed since Caddy opened the store.
func explainNoticed(text string) tokencache.Concern {
	c := tokencache.Concern{
		What: text,
		Why:  "noticed since Caddy has opened the file: a crash of the machine or a failing disk does that",
		Do: "nothing for tokens, which are asked for anew; what concerns a grant is told with its " +
			"account. If it comes again, see to the disk",
	}
	if strings.Contains(text, tokencache.ErrWrongKey.Error()) {
		c.Why = "it was sealed by another key: an encryption_key, or the client's secret and the master key, " +
			"were changed and those before were taken away, or the store is another Caddy's"
		c.Do = "add the key of before as a further one, of encryption_key or client_secret; nothing for tokens, " +
			"which are asked for anew; what concerns a grant is told with its account"
	}
	return c
}
