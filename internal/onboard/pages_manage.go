package onboard

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// With the option manage the pages invite, revoke and forget as the commands do. All of it is below the address of the
// list: who guards that one by its path has guarded these.

// managing is what can be done to an account.
type managing struct {
	ask func(v *visit, account string) // shows what it is about to do
	do  func(v *visit, account string)
}

var manageable = map[string]managing{
	"invite": {(*visit).askInvite, (*visit).doInvite},
	"revoke": {(*visit).askRevoke, (*visit).doRevoke},
	"forget": {(*visit).askForget, (*visit).doForget},
}

func (v *visit) askManage(account, do string) {
	d, known := manageable[do]
	if !v.Manage || !known {
		v.fail(errNoPage())
		return
	}
	d.ask(v, account)
}

// manage does what was asked about.
func (v *visit) manage() {
	do := v.form("do")
	d, known := manageable[do]
	if !v.Manage || !known {
		v.fail(errNoPage())
		return
	}
	v.account, v.managed = strings.TrimSpace(v.form("account")), do
	if !words.Name.MatchString(v.account) {
		v.fail(errAccountName())
		return
	}
	d.do(v, v.account)
}

// lives are how long a link can be good, the usual time first.
var lives = []struct {
	Hours string
	Words string
}{{"168h", "7 days"}, {"24h", "1 day"}, {"72h", "3 days"}, {"720h", "30 days"}, {"2160h", "90 days"}}

func (v *visit) askInvite(account string) {
	if err := v.Client.mayReplace(account); err != nil {
		v.fail(err)
		return
	}
	v.render(http.StatusOK, "manage-invite", map[string]any{
		"Title": "Invite someone to connect " + account, "Account": account, "Lives": lives,
		"ConnectedBy": v.Flow.ConnectedBy(v.Client, account), "Warnings": v.Client.BrowserWarnings(account),
	})
}

func (v *visit) doInvite(account string) {
	life, _ := time.ParseDuration(v.form("expires")) // what is none is too short
	link, inv, err := v.Client.Invite(account, life, strings.TrimSpace(v.form("return_to")), v.form("replace") != "")
	if err != nil {
		v.fail(err)
		return
	}
	v.render(http.StatusOK, "manage-invited", map[string]any{
		"Title": "Invitation for " + account, "Link": link,
		"Expires": inv.Expires.Format(expiryFormat), "Warnings": LinkWarnings(link),
	})
}

func (v *visit) askRevoke(account string) {
	data := map[string]any{"Title": "Revoke " + account + "?", "Account": account, "ByClient": v.Client.byClient(account)}
	if !v.Client.byClient(account) {
		grant, err := v.Flow.stored(v.Client, account)
		if err != nil {
			v.fail(err)
			return
		}
		others, unread := v.Flow.sharers(v.Client, account, grant)
		if len(others) > 0 {
			data["Others"] = accountList(others)
		}
		if unread != nil {
			data["Unread"] = asError(unread).Text
		}
	}
	v.render(http.StatusOK, "manage-revoke", data)
}

func (v *visit) doRevoke(account string) {
	ctx := context.WithoutCancel(v.r.Context()) // who closes the browser now has Zoho asked, and the answer noted
	result, err := v.Flow.Revoke(ctx, v.Client, account, v.form("shared") != "")
	title := "Revoked"
	if result.GrantType != "" {
		title = "Access token revoked"
	}
	v.showGone(title, result, err)
}

func (v *visit) askForget(account string) {
	if _, err := v.Flow.stored(v.Client, account); err != nil && !hasCode(err, codeStore) { // one that cannot be read can be forgotten
		v.fail(err)
		return
	}
	v.render(http.StatusOK, "manage-forget", map[string]any{"Title": "Forget " + account + "?", "Account": account})
}

func (v *visit) doForget(account string) {
	result, err := v.Flow.Forget(v.Client, account)
	v.showGone("Forgotten", result, err)
}

func (v *visit) showGone(title string, result Result, err error) {
	if err != nil {
		v.fail(err)
		return
	}
	v.render(http.StatusOK, "gone", map[string]any{"Title": title, "Result": result})
}
