package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// action is what can be done to a connection.
type action struct {
	name     string
	existing bool // only to accounts that there are
	looks    bool // it changes nothing, so that the audit has no line of it
	do       func(m *Managed, w http.ResponseWriter, r *http.Request, client *client.Client, account string) (any, error)
}

// actions by the last segment of the path. All take effect at once, without a reload.
var actions = map[string]action{
	"check":   {looks: true, do: onboarding(check)},
	"connect": {do: onboarding(connect)},
	"device":  {do: (*Managed).device},
	"invite":  {do: onboarding(invite)},
	"import":  {do: onboarding(importToken)},
	"refresh": {existing: true, do: (*Managed).refresh},
	"revoke":  {existing: true, do: onboarding(revoke)},
	"forget":  {existing: true, do: onboarding(forget)},
}

// onboarding is an action that brings grants in or out; R is its body.
func onboarding[R any](
	do func(ctx context.Context, flow *onboard.Flow, client *onboard.Client, account string, req R) (any, error),
) func(*Managed, http.ResponseWriter, *http.Request, *client.Client, string) (any, error) {
	return func(m *Managed, _ http.ResponseWriter, r *http.Request, client *client.Client, account string) (any, error) {
		var req R
		if err := readJSON(r.Body, &req); err != nil {
			return nil, adminapi.Refuse(http.StatusBadRequest, "bad-body", "%v", err)
		}
		answer, err := do(r.Context(), m.Flow, client.Onboard(), account, req)
		if err != nil {
			return nil, refusal(err)
		}
		return answer, nil
	}
}

func importToken(
	ctx context.Context,
	flow *onboard.Flow,
	client *onboard.Client,
	account string,
	req adminapi.ImportRequest,
) (any, error) {
	center, err := dataCenter(client, req.DataCenter)
	if err != nil {
		return nil, err
	}
	return flow.Import(
		ctx,
		client,
		center,
		account,
		req.RefreshToken,
		req.Replace || req.ReplaceUnreadable && flow.Unreadable(client, account),
	)
}

func revoke(
	ctx context.Context,
	flow *onboard.Flow,
	client *onboard.Client,
	account string,
	req adminapi.RevokeRequest,
) (any, error) {
	return flow.Revoke(ctx, client, account, req.Shared)
}

func forget(_ context.Context, flow *onboard.Flow, client *onboard.Client, account string, _ struct{}) (any, error) {
	return flow.Forget(client, account)
}

// dataCenter finds one of the client's. A mistyped code is told from one that the
// configuration lacks.
func dataCenter(client *onboard.Client, code string) (zoho.DataCenter, error) {
	code = zoho.NormalCode(code)
	center, err := client.DataCenter(code)
	if err == nil {
		return center, nil
	}
	e := adminapi.Refuse(http.StatusBadRequest, problem.CodeDataCenter, "%v", err)
	if _, known := zoho.LookupDataCenter(code); known {
		e.Code = "data-center-not-configured"
	}
	return center, e
}

// check looks whether a grant could be stored, and changes nothing.
func check(_ context.Context, flow *onboard.Flow, client *onboard.Client, account string, req adminapi.CheckRequest) (any, error) {
	if _, err := dataCenter(client, req.DataCenter); err != nil {
		return nil, err
	}
	return struct{}{}, flow.MayConnect(client, account, req.ReplaceUnreadable)
}

func connect(
	ctx context.Context,
	flow *onboard.Flow,
	client *onboard.Client,
	account string,
	req adminapi.ConnectRequest,
) (any, error) {
	switch {
	case req.AddScopes:
		return addScopes(ctx, flow, client, account, req)
	case req.SelfClient != "":
		return selfClient(ctx, flow, client, account, req)
	case req.Confirm != "":
		if err := belongs(flow, client, account, req.Confirm); err != nil {
			return nil, err
		}
		return flow.Confirm(ctx, client, req.Confirm, "", !req.Drop)
	case req.Callback != "":
		return finish(ctx, flow, client, account, req)
	}
	redirectURI := cmp.Or(client.RedirectURI, client.Served)
	url, state, err := flow.Begin(client, onboard.Start{
		Account:     account,
		RedirectURI: redirectURI,
		RevokeOld:   req.RevokeOld,
		ReplaceLost: req.Replace || req.ReplaceUnreadable,
	})
	return adminapi.ConnectStarted{
		URL:         url,
		State:       state,
		RedirectURI: redirectURI,
		Warnings:    slices.Concat(client.BrowserWarnings(account), flow.QuotaWarnings(client, account), orgWarnings(client)),
	}, err
}

// orgWarnings tell who pastes an address to be quick.
func orgWarnings(client *onboard.Client) []string {
	if !client.Org {
		return nil
	}
	return []string{"an organization's code expires after a minute: paste the address at once"}
}

// addScopes adds scopes to the grant that an account has, or ends that by the answer that was pasted.
func addScopes(
	ctx context.Context,
	flow *onboard.Flow,
	client *onboard.Client,
	account string,
	req adminapi.ConnectRequest,
) (any, error) {
	if req.Callback == "" {
		redirectURI := cmp.Or(client.RedirectURI, client.Served)
		w, err := flow.Widen(ctx, client, onboard.Start{Account: account, RedirectURI: redirectURI})
		return adminapi.ConnectStarted{URL: w.URL, State: w.ID, RedirectURI: redirectURI, Scopes: w.Scopes}, err
	}
	cb, err := onboard.ParsePastedScopes(req.Callback)
	if err != nil {
		return nil, err
	}
	if err := belongs(flow, client, account, req.State); err != nil {
		return nil, err
	}
	return flow.FinishWidening(ctx, client, cb, req.State, "")
}

// selfClient exchanges a code that was made in the API console.
func selfClient(
	ctx context.Context,
	flow *onboard.Flow,
	client *onboard.Client,
	account string,
	req adminapi.ConnectRequest,
) (any, error) {
	center, err := dataCenter(client, req.DataCenter)
	if err != nil {
		return nil, err
	}
	code, err := onboard.ParseSelfClient(client, req.SelfClient)
	if err != nil {
		return nil, err
	}
	replace := req.Replace || req.ReplaceUnreadable && flow.Unreadable(client, account)
	return flow.SelfClient(ctx, client, center, account, code, replace, req.RevokeOld)
}

// finish ends a consent by the callback, or the code of it, that was pasted.
func finish(
	ctx context.Context,
	flow *onboard.Flow,
	client *onboard.Client,
	account string,
	req adminapi.ConnectRequest,
) (any, error) {
	cb, err := onboard.ParsePasted(req.Callback)
	if err != nil {
		return nil, err
	}
	cb.State = cmp.Or(cb.State, req.State) // the code alone may have been pasted
	if cb.State != req.State {
		return nil, adminapi.Refuse(http.StatusBadRequest, "other-consent",
			"the pasted address belongs to another consent, or was cut off: "+
				"paste all of it, or start again")
	}
	if err := belongs(flow, client, account, cb.State); err != nil {
		return nil, err
	}
	return flow.Finish(ctx, client, cb, "")
}

// belongs refuses a consent, or the question that came of it, that is another account's.
func belongs(flow *onboard.Flow, client *onboard.Client, account, id string) error {
	other, err := flow.AccountOf(client, id)
	if err != nil {
		return err
	}
	if other != "" && other != account {
		return adminapi.Refuse(
			http.StatusBadRequest,
			"other-consent",
			"this consent was started for account %s, not %s",
			other,
			account,
		)
	}
	return nil
}

func invite(
	_ context.Context,
	flow *onboard.Flow,
	client *onboard.Client,
	account string,
	req adminapi.InviteRequest,
) (any, error) {
	life := onboard.DefaultInvitationLife
	if req.Expires != "" {
		var err error
		if life, err = caddy.ParseDuration(req.Expires); err != nil {
			return nil, adminapi.Refuse(
				http.StatusBadRequest,
				"expires",
				"expires: %.64q is not a duration: write a number and a unit, as in 168h",
				req.Expires,
			)
		}
	}
	link, inv, err := client.Invite(account, life, req.ReturnTo, req.Replace)
	return adminapi.Invitation{
		Client:  client.Name,
		Account: account,
		URL:     link,
		Expires: inv.Expires,
		Warnings: slices.Concat(
			client.BrowserWarnings(account), onboard.LinkWarnings(link), takeoverWarnings(flow, client, account, req.Replace),
		),
	}, err
}

// takeoverWarnings tell what a link does to an account that works.
func takeoverWarnings(flow *onboard.Flow, client *onboard.Client, account string, replace bool) []string {
	who := flow.ConnectedBy(client, account)
	switch {
	case who == "":
		return nil
	case replace:
		return []string{fmt.Sprintf("account %s is connected by %s: whoever uses this link takes their place", account, who)}
	}
	return []string{fmt.Sprintf("account %s is connected by %s: only the same user can connect it again with this link, "+
		"which replaces the grant; for another user, add --replace", account, who)}
}
