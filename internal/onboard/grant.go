package onboard

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Zoho keeps that many refresh tokens of a user for a client; one more ends the first,
// even if it is in use.
const refreshTokenLimit = 20

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
	return "a user of data center " + r.DataCenter
}

// candidate is a grant that is not stored yet.
type candidate struct {
	client    string
	account   string
	grant     tokencache.Grant
	reply     zoho.Reply // of the exchange, empty for an imported refresh token
	proof     tokencache.Proof
	revokeOld bool
	browser   [sha256.Size]byte
	invited   *Invitation
	expires   time.Time // while it waits to be confirmed
}

// candidateFor is a candidate without a browser: what a terminal brings.
func candidateFor(cl *Client, account string, grant tokencache.Grant) *candidate {
	return &candidate{client: cl.Name, account: account, grant: grant, browser: sha256.Sum256(nil)}
}

// Finish takes the callback of a consent: exchanges the code where it was given, and
// stores the grant before it says so. An error leaves what was stored as it was.
func (f *Flow) Finish(ctx context.Context, cl *Client, cb Callback, browser string) (Result, *Error) {
	result, _, err := f.finish(ctx, cl, cb, browser)
	return result, err
}

func (f *Flow) finish(ctx context.Context, cl *Client, cb Callback, browser string) (Result, *consent, *Error) {
	c, err := f.take(cl, cb.State, browser)
	if err != nil {
		return Result{}, c, err
	}
	switch {
	case cb.repeated:
		return Result{}, c, errCallback("The answer names a parameter twice, which Zoho does not do. The code was not used.", "Begin the consent anew.")
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

// SelfClient takes a code that Zoho's API console made for a self client. code "" is
// refused; center is where the console was.
func (f *Flow) SelfClient(ctx context.Context, cl *Client, center zoho.DataCenter, account, code string, replace bool) (Result, *Error) {
	if err := cl.mayReplace(account); err != nil {
		return Result{}, err
	}
	cand, err := f.exchange(ctx, cl, center, account, code, "")
	if err != nil {
		return Result{}, err
	}
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
	failed := errors.New("no client_secret has a value for the data center " + center.Code)
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
		who := accounts.Identify(ctx, reply, scopes)
		grant := tokencache.Grant{RefreshToken: reply.RefreshToken, AccountsServer: center.Accounts, APIDomain: reply.APIDomain,
			Scopes: slices.Clone(scopes), GrantedAt: time.Now(), User: who.User, Org: who.Org}
		f.Cache.Count(cl.Cache, cl.key(account), grant)
		cand := candidateFor(cl, account, grant)
		cand.reply = reply
		return cand, nil
	}
	return nil, errExchange(failed)
}

// settle compares a grant with the one before, has it prove itself by a renewal, and
// stores it.
func (f *Flow) settle(ctx context.Context, cl *Client, cand *candidate, confirmed bool) (Result, *Error) {
	key := cl.key(cand.account)
	old, had, err := f.Store.LoadGrant(key, cl.Cache.Secrets())
	if err != nil {
		return Result{}, errStore(err)
	}
	var warnings []string
	if err := f.prove(cl, key, cand); err != nil {
		// A code is used up by now. What its exchange gave is good for an hour at least.
		if cand.reply.AccessToken == "" || plainlyBad(err) {
			return Result{}, errProof(err)
		}
		warnings = append(warnings, "a renewal could not be tried yet: "+err.Error())
	}
	f.describe(ctx, cl, cand)
	before, after := cl.result(cand.account, old), cl.result(cand.account, cand.grant)
	if had && !confirmed && differ(old, cand.grant) {
		return Result{}, f.hold(cand, before, after)
	}
	replaces := had && old.RefreshToken != cand.grant.RefreshToken
	cand.grant.RefreshTokens = max(old.RefreshTokens, 1)
	if replaces && !cand.revokeOld {
		cand.grant.RefreshTokens++
	}
	if err := f.store(cl, key, cand); err != nil {
		return Result{}, errStore(err)
	}
	result := cl.result(cand.account, cand.grant)
	result.Replaced, result.Warnings = replaces, warnings
	if replaces && cand.revokeOld {
		if err := cl.revoke(ctx, old); err != nil {
			result.Warnings = append(result.Warnings, "the grant before was not revoked: "+err.Error())
		} else {
			result.Revoked = true
		}
	}
	if result.RefreshTokens >= refreshTokenLimit-1 {
		result.Warnings = append(result.Warnings, fmt.Sprintf("%d refresh tokens of this account are known; Zoho keeps %d of a user and client, and one more ends the first, even if it is in use: revoke old ones",
			result.RefreshTokens, refreshTokenLimit))
	}
	if cand.invited != nil {
		if _, err := f.Store.UseOnce(cand.invited.ID, cand.invited.Expires); err != nil {
			result.Warnings = append(result.Warnings, "that the invitation is used up could not be noted: "+err.Error())
		}
	}
	if f.Connected != nil {
		f.Connected(result)
	}
	return result, nil
}

// prove has a grant bring an access token, once.
func (f *Flow) prove(cl *Client, key tokencache.Key, cand *candidate) (err error) {
	if cand.proof.AccessToken == "" {
		cand.proof, err = f.Cache.Prove(cl.Cache, key, cand.grant)
	}
	return err
}

// plainlyBad tells failures that say something about the grant from those that say
// something about the moment.
func plainlyBad(err error) bool {
	var known *tokencache.Error
	return errors.As(err, &known) && (known.Kind == tokencache.KindDead || known.Kind == tokencache.KindRejected)
}

// describe completes what is known of a grant by what its renewal said.
func (f *Flow) describe(ctx context.Context, cl *Client, cand *candidate) {
	g, proof := &cand.grant, cand.proof
	if g.APIDomain == "" {
		g.APIDomain = proof.APIDomain
	}
	if scopes := zoho.SplitScopes(proof.Scope); len(g.Scopes) == 0 {
		g.Scopes = scopes
	}
	center, ok := cl.center(g.AccountsServer)
	if accounts := cl.Accounts(center); ok && g.User == "" && proof.AccessToken != "" && len(accounts) > 0 {
		who := accounts[0].Identify(ctx, zoho.Reply{AccessToken: proof.AccessToken, APIDomain: g.APIDomain}, g.Scopes)
		g.User, g.Org = who.User, who.Org
	}
}

func (f *Flow) store(cl *Client, key tokencache.Key, cand *candidate) error {
	if cand.proof.AccessToken == "" {
		err := f.Store.SaveGrant(key, cl.Cache.Secrets(), cand.grant)
		f.Cache.GrantChanged(key)
		return err
	}
	return f.Cache.Replace(cl.Cache, key, cand.grant, cand.proof)
}

// differ tells whether somebody else has consented than before, as far as that is known.
func differ(old, now tokencache.Grant) bool {
	return old.AccountsServer != now.AccountsServer ||
		old.User != "" && now.User != "" && old.User != now.User ||
		old.Org != "" && now.Org != "" && old.Org != now.Org
}

// hold keeps a grant until a person has confirmed it.
func (f *Flow) hold(cand *candidate, before, after Result) *Error {
	id := rand.Text()
	cand.expires = time.Now().Add(consentLife)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tidy(time.Now())
	f.held[id] = cand
	return errOther(id, before, after)
}

// Confirm stores a grant that was held, or gives it back to Zoho.
func (f *Flow) Confirm(ctx context.Context, cl *Client, id, browser string, accept bool) (Result, *Error) {
	f.mu.Lock()
	f.tidy(time.Now())
	cand := f.held[id]
	if cand == nil || cand.client != cl.Name || cand.browser != sha256.Sum256([]byte(browser)) {
		f.mu.Unlock()
		return Result{}, errState("There is nothing to confirm here any more.")
	}
	delete(f.held, id)
	f.mu.Unlock()
	if accept {
		return f.settle(ctx, cl, cand, true)
	}
	result := cl.result(cand.account, cand.grant)
	if err := cl.revoke(ctx, cand.grant); err != nil {
		result.Warnings = append(result.Warnings, "the new grant was dropped, but could not be revoked at Zoho: "+err.Error())
	} else {
		result.Revoked = true
	}
	return result, nil
}

func (cl *Client) result(account string, g tokencache.Grant) Result {
	center, _ := cl.center(g.AccountsServer)
	code := center.Code
	if code == "" {
		code = g.AccountsServer
	}
	return Result{Client: cl.Name, Account: account, DataCenter: code, User: g.User, Org: g.Org, Scopes: g.Scopes, RefreshTokens: g.RefreshTokens}
}

// revoke gives a grant back to Zoho. One that Zoho does not know any more is as good as
// given back.
func (cl *Client) revoke(ctx context.Context, g tokencache.Grant) error {
	center, ok := cl.center(g.AccountsServer)
	if !ok {
		return fmt.Errorf("%s is none of the client's data centers", g.AccountsServer)
	}
	accounts := cl.Accounts(center)
	if len(accounts) == 0 {
		return fmt.Errorf("no client_secret has a value for the data center %s", center.Code)
	}
	err := accounts[0].Revoke(ctx, g.RefreshToken)
	var failure *zoho.Failure
	if errors.As(err, &failure) && failure.Kind == zoho.FailureGrantDead {
		return nil
	}
	return err
}

// Revoke gives the stored grant of an account back to Zoho, and then forgets it. If Zoho
// cannot be asked, nothing is forgotten.
func (f *Flow) Revoke(ctx context.Context, cl *Client, account string) (Result, *Error) {
	return f.remove(cl, account, func(g tokencache.Grant) *Error {
		if err := cl.revoke(ctx, g); err != nil {
			return &Error{Status: http.StatusBadGateway, Code: "not-revoked", Text: "Zoho did not revoke the grant, so it was not forgotten: " + err.Error() + ".",
				Remedy: "Try again, or forget it here and revoke it in the user's account at Zoho (Connected Apps)."}
		}
		return nil
	}, true)
}

// Forget drops the stored grant of an account. At Zoho it lives on.
func (f *Flow) Forget(cl *Client, account string) (Result, *Error) {
	return f.remove(cl, account, func(tokencache.Grant) *Error { return nil }, false)
}

func (f *Flow) remove(cl *Client, account string, first func(tokencache.Grant) *Error, revoked bool) (Result, *Error) {
	if cl.Configured(account) {
		e := errConfigured(cl, account)
		e.Remedy = "Take its refresh_token out of the configuration; revoke it in the user's account at Zoho (Connected Apps)."
		return Result{}, e
	}
	key := cl.key(account)
	grant, found, err := f.Store.LoadGrant(key, cl.Cache.Secrets())
	switch {
	case err != nil && revoked:
		return Result{}, errStore(err)
	case err == nil && !found:
		return Result{}, errNoGrant(cl, account)
	}
	if e := first(grant); e != nil {
		return Result{}, e
	}
	if err := f.Store.DeleteGrant(key); err != nil {
		return Result{}, errStore(err)
	}
	f.Cache.GrantChanged(key)
	result := cl.result(account, grant)
	result.Revoked = revoked
	return result, nil
}
