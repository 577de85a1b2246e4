package onboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Result says what was connected, without any secret.
type Result struct {
	Client        string   `json:"client"`
	Account       string   `json:"account"`
	DataCenter    string   `json:"data_center"`
	User          string   `json:"user,omitempty"`
	Org           string   `json:"org,omitempty"`
	Scopes        []string `json:"scopes,omitempty"`
	RefreshTokens int      `json:"refresh_tokens_known"`
	Replaced      bool     `json:"replaced,omitempty"` // another grant
	Revoked       bool     `json:"revoked,omitempty"`  // the one that was replaced, or is gone
	Warnings      []string `json:"warnings,omitempty"`
}

// who names the user and organization as far as they are known.
func (r Result) who() string {
	switch {
	case r.User != "" && r.Org != "":
		return fmt.Sprintf("%s of organization %s", r.User, r.Org)
	case r.User != "":
		return r.User
	case r.Org != "":
		return "organization " + r.Org
	}
	return "somebody of data center " + r.DataCenter + " whom Zoho does not name"
}

// candidate is a grant that is not stored yet.
type candidate struct {
	client    string
	account   string
	grant     tokencache.Grant
	reply     zoho.Reply // of the exchange, empty for an imported refresh token
	proof     tokencache.Proof
	warnings  []string
	revokeOld bool
	browser   browserID
	invited   *Invitation
	// While it waits to be confirmed:
	waits    *time.Timer
	unwanted func(context.Context) // gives it back
}

// fresh tells a grant that a code has brought just now, which nobody else knows, from one
// that was imported and may be in use elsewhere.
func (cand *candidate) fresh() bool { return cand.reply.AccessToken != "" }

// candidateFor is a candidate without a browser: what a terminal brings.
func candidateFor(cl *Client, account string, grant tokencache.Grant) *candidate {
	return &candidate{client: cl.Name, account: account, grant: grant, browser: identify("")}
}

// Finish takes the callback of a consent: exchanges the code where it was given, and
// stores the grant before it says so. An error leaves what was stored as it was.
func (f *Flow) Finish(ctx context.Context, cl *Client, cb Callback, browser string) (Result, *Error) {
	result, _, err := f.finish(ctx, cl, cb, browser)
	return result, err
}

func (f *Flow) finish(ctx context.Context, cl *Client, cb Callback, browser string) (Result, *consent, *Error) {
	if cb.repeated {
		return Result{}, nil, errCallback("The answer names a parameter twice, which Zoho does not do. Nothing in it was used.", "Begin the consent anew.")
	}
	c, err := f.take(cl, cb.State, browser)
	if err != nil {
		return Result{}, c, err
	}
	switch {
	case cb.Error != "":
		return Result{}, c, errDenied(cb.Error)
	case cb.Code == "":
		return Result{}, c, errCallback("The answer holds no code.", "Paste the whole address that the browser ended at, or begin anew.")
	}
	center := cl.Centers[0]
	if cb.AccountsServer != "" {
		var ok bool
		if center, ok = cl.center(cb.AccountsServer); !ok {
			return Result{}, c, errServer(cl, cb.AccountsServer)
		}
	}
	if err := f.invited(cl, c.invitation); err != nil {
		return Result{}, c, err
	}
	cand, err := f.exchange(ctx, cl, center, c.Account, cb.Code, c.RedirectURI)
	if err != nil {
		return Result{}, c, err
	}
	cand.browser, cand.invited, cand.revokeOld = c.browser, c.invitation, c.RevokeOld
	result, err := f.settle(ctx, cl, cand, false)
	return result, c, err
}

// SelfClient takes a code that Zoho's API console made for a self client; center is where
// the console was. With replace a grant of somebody else's is replaced without a question,
// with revokeOld the one that is replaced is given back.
func (f *Flow) SelfClient(ctx context.Context, cl *Client, center zoho.DataCenter, account, code string, replace, revokeOld bool) (Result, *Error) {
	if err := cl.mayReplace(account); err != nil {
		return Result{}, err
	}
	cand, err := f.exchange(ctx, cl, center, account, code, "")
	if err != nil {
		return Result{}, err
	}
	cand.revokeOld = revokeOld
	return f.settle(ctx, cl, cand, replace)
}

// Import takes a refresh token that another program was given.
func (f *Flow) Import(ctx context.Context, cl *Client, center zoho.DataCenter, account, refreshToken string, replace bool) (Result, *Error) {
	if err := cl.mayReplace(account); err != nil {
		return Result{}, err
	}
	if refreshToken == "" || len(refreshToken) > 4096 || strings.ContainsFunc(refreshToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Result{}, &Error{Status: http.StatusBadRequest, Code: "refresh-token", Text: "This is no refresh token.",
			Remedy: "It is printable text without blanks, such as 1000.….…, alone on its line."}
	}
	grant := tokencache.Grant{RefreshToken: refreshToken, AccountsServer: center.Accounts, GrantedAt: time.Now()}
	return f.settle(ctx, cl, candidateFor(cl, account, grant), replace)
}

// exchange trades a code for tokens, at the data center that it was given at. Several
// secrets are tried in order: a refused one does not use the code up.
func (f *Flow) exchange(ctx context.Context, cl *Client, center zoho.DataCenter, account, code, redirectURI string) (*candidate, *Error) {
	ctx = context.WithoutCancel(ctx) // who closes the browser now must not lose the code
	failed := errNoSecret(center)
	for _, accounts := range cl.Accounts(center) {
		reply, err := accounts.Exchange(ctx, code, redirectURI)
		var failure *zoho.Failure
		if errors.As(err, &failure) && failure.Kind == zoho.FailureClientRejected {
			failed = err
			continue
		}
		if err != nil {
			return nil, errExchange(err)
		}
		if reply.RefreshToken == "" {
			return nil, errNoRefreshToken()
		}
		scopes := zoho.SplitScopes(reply.Scope)
		if len(scopes) == 0 && redirectURI != "" {
			scopes = cl.Scopes
		}
		grant := tokencache.Grant{RefreshToken: reply.RefreshToken, AccountsServer: center.Accounts, APIDomain: reply.APIDomain,
			Scopes: slices.Clone(scopes), GrantedAt: time.Now()}
		f.cache.Count(cl.Cache, cl.key(account), grant)
		cand := candidateFor(cl, account, grant)
		cand.reply = reply
		return cand, nil
	}
	return nil, errExchange(failed)
}

// settle has a grant prove itself by a renewal, compares it with the one before, and
// stores it.
func (f *Flow) settle(ctx context.Context, cl *Client, cand *candidate, confirmed bool) (_ Result, err *Error) {
	ctx = context.WithoutCancel(ctx) // who closes the browser now must not lose the grant
	defer func() { f.giveBack(ctx, cl, cand, err) }()
	old, err := f.before(cl, cand)
	if err != nil {
		return Result{}, err
	}
	if err := f.prove(cl, cand); err != nil {
		return Result{}, err
	}
	cand.describe(ctx, cl)
	if old.RefreshToken != "" && !confirmed && differ(old, cand.grant) {
		if cand.invited != nil {
			return Result{}, errTaken()
		}
		return Result{}, f.hold(cl, cand, cl.result(cand.account, old), cl.result(cand.account, cand.grant))
	}
	return f.adopt(ctx, cl, cand, old)
}

// before is the grant that the account has, the zero Grant if it has none.
func (f *Flow) before(cl *Client, cand *candidate) (tokencache.Grant, *Error) {
	old, _, err := f.store.LoadGrant(cl.key(cand.account), cl.Cache.Secrets())
	if err != nil {
		return old, errStore(err)
	}
	return old, nil
}

// prove has a grant bring an access token.
func (f *Flow) prove(cl *Client, cand *candidate) *Error {
	proof, err := f.cache.Prove(cl.Cache, cl.key(cand.account), cand.grant)
	switch {
	case err == nil:
		cand.proof = proof
	case cand.reply.AccessToken == "" || plainlyBad(err):
		return errProof(err)
	default: // A code is used up by now. What its exchange gave is good for an hour at least.
		cand.warnings = append(cand.warnings, "a renewal could not be tried yet: "+err.Error())
	}
	return nil
}

// adopt makes a grant that of its account, in place of the old one.
func (f *Flow) adopt(ctx context.Context, cl *Client, cand *candidate, old tokencache.Grant) (Result, *Error) {
	if err := f.useUp(ctx, cl, cand); err != nil {
		return Result{}, err
	}
	replaces := old.RefreshToken != "" && old.RefreshToken != cand.grant.RefreshToken
	another := old.User != "" && cand.grant.User != "" && old.User != cand.grant.User // whose places are his own
	cand.grant.RefreshTokens = 1
	if !another {
		cand.grant.RefreshTokens = max(old.RefreshTokens, 1)
	}
	if replaces && !another && !cand.revokeOld {
		cand.grant.RefreshTokens++
	}
	if err := f.save(cl, cand); err != nil {
		if cand.invited != nil {
			_ = f.store.Unuse(cand.invited.ID) // what was not completed can be tried again
		}
		return Result{}, errStore(err)
	}
	result := cl.result(cand.account, cand.grant)
	result.Replaced, result.Warnings = replaces, cand.warnings
	if replaces && (old.User == "" || cand.grant.User == "") {
		result.Warnings = append(result.Warnings, "whether it is the same user as before is not known; with the scope "+zoho.ScopeProfile+" Zoho says who has consented")
	}
	if replaces && cand.revokeOld {
		result.revoke(ctx, cl, old, "the grant before was not revoked")
		if !result.Revoked && !another { // it keeps its place
			f.countOne(cl, cand, &result)
		}
	}
	result.Warnings = append(result.Warnings, f.PlaceWarnings(cl, cand.account)...)
	f.connected(result)
	return result, nil
}

// countOne counts one more refresh token of the account. If that cannot be stored, the
// count is one too low.
func (f *Flow) countOne(cl *Client, cand *candidate, result *Result) {
	cand.grant.RefreshTokens++
	result.RefreshTokens = cand.grant.RefreshTokens
	_ = f.store.SaveGrant(cl.key(cand.account), cl.Cache.Secrets(), cand.grant)
	f.cache.GrantChanged(cl.key(cand.account))
}

// useUp ends an invitation, before what it brought is stored: of several browsers that
// come back at the same time one is served. What the others brought is given back.
func (f *Flow) useUp(ctx context.Context, cl *Client, cand *candidate) *Error {
	if cand.invited == nil {
		return nil
	}
	first, err := f.store.UseOnce(cand.invited.ID, cand.invited.Expires)
	switch {
	case err != nil:
		return errStore(err)
	case !first:
		return errInvitation("This invitation was used.")
	}
	return nil
}

// plainlyBad tells failures that say something about the grant from those that say
// something about the moment.
func plainlyBad(err error) bool {
	var known *tokencache.Error
	return errors.As(err, &known) && (known.Kind == tokencache.KindDead || known.Kind == tokencache.KindRejected)
}

// describe completes what is known of a grant by what its renewal said, and asks whose
// it is.
func (cand *candidate) describe(ctx context.Context, cl *Client) {
	g, token := &cand.grant, cmp.Or(cand.proof.AccessToken, cand.reply.AccessToken)
	g.APIDomain = cmp.Or(g.APIDomain, cand.proof.APIDomain)
	if len(g.Scopes) == 0 {
		g.Scopes = zoho.SplitScopes(cand.proof.Scope)
	}
	if accounts, err := cl.accounts(*g); err == nil {
		who := accounts.Identify(ctx, token, g.APIDomain, g.Scopes)
		g.User, g.Org = who.User, who.Org
	}
}

// save stores a grant, and publishes the token that it has brought.
func (f *Flow) save(cl *Client, cand *candidate) error {
	key := cl.key(cand.account)
	if cand.proof.AccessToken != "" {
		return f.cache.Replace(cl.Cache, key, cand.grant, cand.proof)
	}
	err := f.store.SaveGrant(key, cl.Cache.Secrets(), cand.grant)
	f.cache.GrantChanged(key)
	return err
}

// differ tells whether somebody else has consented than before, as far as that is known.
// Who was known and is not any more is somebody else: a browser can take the scope that
// Zoho names its user by out of the address that it is sent to.
func differ(old, now tokencache.Grant) bool {
	return old.AccountsServer != now.AccountsServer || old.User != "" && old.User != now.User || old.Org != "" && old.Org != now.Org
}

// Confirm stores a grant that was held, or drops it: a fresh one is given back to Zoho.
func (f *Flow) Confirm(ctx context.Context, cl *Client, id, browser string, accept bool) (_ Result, err *Error) {
	cand, err := f.release(cl, id, identify(browser))
	if err != nil {
		return Result{}, err
	}
	if !accept {
		result := cl.result(cand.account, cand.grant)
		if cand.fresh() {
			result.revoke(ctx, cl, cand.grant, "the new grant was dropped, but could not be revoked at Zoho")
		}
		return result, nil
	}
	ctx = context.WithoutCancel(ctx)
	defer func() { f.giveBack(ctx, cl, cand, err) }()
	old, err := f.before(cl, cand)
	if err != nil {
		return Result{}, err
	}
	return f.adopt(ctx, cl, cand, old)
}

// giveBack revokes a fresh grant that was not stored for some reason: at Zoho it would
// keep its place for ever. A store that failed late may have it all the same.
func (f *Flow) giveBack(ctx context.Context, cl *Client, cand *candidate, why *Error) {
	if why == nil || why.Confirm != "" || !cand.fresh() {
		return
	}
	if stored, _, err := f.store.LoadGrant(cl.key(cand.account), cl.Cache.Secrets()); err == nil && stored.RefreshToken != cand.grant.RefreshToken {
		_ = cl.revoke(ctx, cand.grant)
	}
}

func (cl *Client) result(account string, g tokencache.Grant) Result {
	center, _ := cl.center(g.AccountsServer)
	code := center.Code
	if code == "" {
		code = g.AccountsServer
	}
	return Result{Client: cl.Name, Account: account, DataCenter: code, User: g.User, Org: g.Org, Scopes: g.Scopes, RefreshTokens: g.RefreshTokens}
}
