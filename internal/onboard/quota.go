package onboard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// RefreshTokenLimit is how many refresh tokens Zoho keeps of a user for a client; one
// more ends the first, even if it is in use.
const RefreshTokenLimit = 20

// Quota counts the refresh tokens that are known of each user of a client, whichever
// accounts they serve: one user may have connected several, as with several organizations.
type Quota map[holder]int

// holder is a user; where that is not known each account counts for itself.
type holder struct{ accountsServer, user, account string }

func holderOf(s tokencache.Status) holder {
	if s.User == "" {
		return holder{account: s.Account}
	}
	return holder{accountsServer: s.AccountsServer, user: s.User}
}

// CountQuota counts what all connections of a client have taken.
func CountQuota(all []tokencache.Status) Quota {
	p := make(Quota)
	for _, s := range all {
		p[holderOf(s)] += s.RefreshTokens
	}
	return p
}

func (p Quota) warning(h holder) string {
	if p[h] < RefreshTokenLimit-1 {
		return ""
	}
	whose := h.user
	if whose == "" {
		whose = "account " + h.account
	}
	end := "and the next one beyond them ends the first, even if it is in use: revoke old ones"
	if p[h] > RefreshTokenLimit {
		end = "so the oldest have ended, even if they were in use: accounts that need consent may be theirs"
	}
	return fmt.Sprintf("%d refresh tokens of %s are known; Zoho keeps %d of a user and client, %s",
		p[h], whose, RefreshTokenLimit, end)
}

// Warnings are those of all users.
func (p Quota) Warnings() (all []string) {
	for h := range p {
		if text := p.warning(h); text != "" {
			all = append(all, text)
		}
	}
	slices.SortFunc(all, strings.Compare)
	return all
}

// QuotaWarnings tells whose places are hardly enough for one more consent for an account:
// those of who has given the last one, or of anybody if nobody has.
func (f *Flow) QuotaWarnings(cl *Client, account string) []string {
	all := f.cache.Status(cl.Cache)
	p := CountQuota(all)
	for _, s := range all {
		if s.Account == account && s.HasGrant {
			h := holderOf(s)
			return Quota{h: p[h]}.Warnings()
		}
	}
	return p.Warnings()
}
