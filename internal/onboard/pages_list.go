package onboard

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

const perPage = 50

// statesShown are those of accounts, what needs somebody first.
var statesShown = []string{
	tokencache.StateDead, tokencache.StateUnreadable, tokencache.StateNotConnected, tokencache.StateContended,
	tokencache.StateDegraded, tokencache.StateOK,
}

// filter is a part of the list.
type filter struct {
	State string // "" for all of it
	Word  string
	Count int
	Now   bool // it is what the page shows
}

// list shows the accounts by pages: of each state, or of all, those that need somebody first.
func (v *visit) list() {
	if account := strings.TrimSpace(query(v.r, "account")); account != "" {
		v.showAccount(account)
		return
	}
	text, state := strings.ToLower(strings.TrimSpace(query(v.r, "q"))), query(v.r, "show")
	counts, total := make(map[string]int), 0
	var found []tokencache.Status
	for s := range v.Flow.cache.Overview(v.Client.Cache) {
		total++
		if text != "" && !strings.Contains(strings.ToLower(s.Account+" "+s.User+" "+s.Org+" "+stateWord(s.Shown())), text) {
			continue
		}
		counts[s.Shown()]++
		if state == "" || state == s.Shown() {
			found = append(found, s)
		}
	}
	slices.SortStableFunc(found, func(a, b tokencache.Status) int {
		return cmp.Compare(slices.Index(statesShown, a.Shown()), slices.Index(statesShown, b.Shown()))
	})
	pages := max(1, (len(found)+perPage-1)/perPage)
	page, _ := strconv.Atoi(query(v.r, "page"))
	page = min(max(page, 1), pages)
	first := (page - 1) * perPage
	var rows []row
	for _, s := range found[first:min(page*perPage, len(found))] {
		rows = append(rows, v.row(s))
	}
	v.render(http.StatusOK, "list", map[string]any{
		"Title": "Accounts of " + v.Client.Name, "Client": v.Client.Name, "Manage": v.Manage, "Wide": true,
		"Total": total, "Rows": rows, "Found": len(found), "First": first + 1, "Last": first + len(rows),
		"Filters": filters(counts, state), "Query": text, "State": state, "Word": stateWord(state),
		"Page": page, "Pages": pages, "Before": page - 1, "After": page + 1,
	})
}

// filters are those with something in them, and the one that is looked at.
func filters(counts map[string]int, state string) []filter {
	all := filter{Word: "all", Now: state == ""}
	var parts []filter
	for _, s := range statesShown {
		all.Count += counts[s]
		if counts[s] > 0 || s == state {
			parts = append(parts, filter{s, stateWord(s), counts[s], s == state})
		}
	}
	return append([]filter{all}, parts...)
}

func stateWord(state string) string { return strings.ReplaceAll(state, "_", " ") }

// row is an account as the pages show it.
type row struct {
	tokencache.Status
	StateWord  string
	DataCenter string
	Left       string
	Tokens     string
	Wrong      string // "" if it needs nothing
	Remedy     string
	Granted    []string // scopes; none = not known
	Missing    []string // of those that the configuration asks for
}

func (v *visit) row(s tokencache.Status) row {
	e := explain(s, v.Client.Scopes)
	r := row{
		Status:    s,
		StateWord: stateWord(s.Shown()),
		Left:      lifeLeft(s),
		Tokens:    "none",
		Wrong:     cause.Sentence(e.What),
		Remedy:    cause.Sentence(e.Do),
		Granted:   GrantedScopes(s),
		Missing:   ScopesToAdd(s, v.Client.Scopes),
	}
	switch {
	case s.ByClient:
		r.Tokens = "not needed"
	case s.HasGrant:
		r.Tokens = fmt.Sprintf("%d of %d known to us", s.RefreshTokens, RefreshTokenLimit)
	}
	r.DataCenter = v.Client.result(s.Account, tokencache.Grant{AccountsServer: s.AccountsServer}).DataCenter
	return r
}

func lifeLeft(s tokencache.Status) string {
	left := time.Until(s.Expiry).Round(time.Second)
	switch {
	case !s.HasToken:
		return "none"
	case s.Refused:
		return "refused by Zoho"
	case left <= 0:
		return "expired"
	}
	return left.String()
}

// showAccount shows one account, or what is about to be done to it.
func (v *visit) showAccount(account string) {
	v.account = account
	if !words.Name.MatchString(account) {
		v.fail(errAccountName())
		return
	}
	if do := query(v.r, "do"); do != "" {
		v.askManage(account, do)
		return
	}
	known := v.Flow.cache.Status(v.Client.Cache, account)
	if len(known) == 0 {
		v.fail(errNoGrant(v.Client, account))
		return
	}
	r := v.row(known[0])
	v.render(http.StatusOK, "account", map[string]any{
		"Title": account, "Row": &r, "Manage": v.Manage && (r.ByClient || !r.Configured),
	})
}
