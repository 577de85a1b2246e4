package onboard

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Incremental authorization: the user of a grant adds scopes to it in a browser. The refresh token stays,
// and so do its access tokens. Zoho's redirect brings nothing back that was sent along, and its address
// must be a registered one. So what tells one such answer from another is an id that is good once, which
// the browser has in a cookie of its own, and the terminal in its memory.

// Widening is the way to more scopes for a grant.
type Widening struct {
	URL    string // at Zoho, for the browser
	ID     string // by which its answer is known
	Scopes []string
}

// widening is a Widening that waits for Zoho's answer.
type widening struct {
	Account string
	Scopes  []string // that are asked for
	Granted []string // before; none = not known
	Grant   [sha256.Size]byte
	Browser browserID // of who has begun; that of "" for an answer that is pasted
	Expires time.Time
}

func wideningName(id string) string { return "scopes " + digest(id) }

// identifyGrant tells a grant from the next one of the account.
func identifyGrant(g tokencache.Grant) [sha256.Size]byte {
	return sha256.Sum256([]byte(g.AccountsServer + " " + g.RefreshToken))
}

// Widen begins to add the scopes of the configuration that a grant lacks. A configured grant can be
// widened as well.
func (f *Flow) Widen(ctx context.Context, cl *Client, s Start) (Widening, error) {
	switch {
	case !words.Name.MatchString(s.Account):
		return Widening{}, errAccountName()
	case len(cl.Scopes) == 0:
		return Widening{}, errNoScopes(cl)
	case s.RedirectURI == "":
		return Widening{}, errNoRedirectURI(cl, s.Account)
	}
	grant, err := f.grantOf(cl, s.Account)
	if err != nil {
		return Widening{}, err
	}
	granted, err := f.scopesNow(ctx, cl, s.Account)
	if err != nil {
		return Widening{}, err
	}
	missing := zoho.MissingScopes(granted, cl.Scopes)
	if len(missing) == 0 {
		return Widening{}, errNothingMissing(cl, s.Account)
	}
	w := &widening{
		Account: s.Account,
		Scopes:  missing,
		Granted: granted,
		Grant:   identifyGrant(grant),
		Browser: identify(s.Browser),
		Expires: time.Now().Add(consentLife),
	}
	id := rand.Text()
	unregister, err := f.register(s.startsOf(cl), id, begun{s.originOf(), w.Expires})
	if err != nil {
		return Widening{}, err
	}
	to, err := cl.enhance(ctx, grant, s.RedirectURI, missing)
	if err != nil {
		err = errNotWidened(cl, s.Account, err)
	} else {
		err = f.keep(cl, wideningName(id), w, 2*consentLife)
	}
	if err != nil {
		unregister()
		return Widening{}, err
	}
	return Widening{URL: to, ID: id, Scopes: missing}, nil
}

// grantOf is the grant that an account has, configured or stored.
func (f *Flow) grantOf(cl *Client, account string) (tokencache.Grant, error) {
	grant, configured, err := cl.Cache.Grant(account)
	found := configured
	if err == nil && !configured {
		grant, found, err = f.store.LoadGrant(cl.key(account), cl.Cache.Secrets())
	}
	switch {
	case err != nil:
		return grant, errStore(err)
	case !found:
		return grant, errNoGrant(cl, account)
	case grant.GrantType != "":
		return grant, NothingToConnect(cl.Name, account)
	}
	return grant, nil
}

// scopesNow are those that the grant of an account is known to have. Where nothing is known, a token may
// tell, and one is asked for if none lives.
func (f *Flow) scopesNow(ctx context.Context, cl *Client, account string) ([]string, error) {
	for _, s := range f.cache.Status(cl.Cache, account) {
		if granted := GrantedScopes(s); len(granted) > 0 {
			return granted, nil
		}
	}
	conn, err := f.cache.Conn(cl.Cache, account)
	if err != nil {
		return nil, errNoToken(err)
	}
	token, err := conn.Token(ctx, cl.Cache)
	if err != nil {
		return nil, errNoToken(err)
	}
	return zoho.SplitScopes(token.Scope), nil
}

// enhance is where the user of a grant adds scopes to it.
func (cl *Client) enhance(ctx context.Context, g tokencache.Grant, redirectURI string, scopes []string) (to string, err error) {
	center, err := cl.serverOf(g)
	if err != nil {
		return "", err
	}
	err = cl.eachSecret(center, func(accounts *zoho.Accounts) error {
		token, err := accounts.EnhanceToken(ctx, g.RefreshToken)
		if err == nil {
			to = accounts.EnhanceURL(zoho.EnhanceParams{RedirectURI: redirectURI, Scopes: scopes, Token: token})
		}
		return err
	})
	return to, err
}

// FinishWidening takes Zoho's answer to a Widening, and then asks what the grant has. Whoever could have
// made a browser bring that answer has gained nothing by it: it holds no code, and what is believed is
// what Zoho says by itself. browser is "" for an answer that was pasted.
func (f *Flow) FinishWidening(ctx context.Context, cl *Client, cb Callback, id, browser string) (Result, error) {
	w, err := f.findWidening(cl, id, browser)
	if err != nil {
		return Result{}, err
	}
	if err := cb.checkWidened(); err != nil {
		return Result{}, err
	}
	if cb.Error != "" { // which may change their mind: it uses nothing up
		return Result{}, errNotAllowed(cb.Error)
	}
	first, err := f.pending.ConsumeNonce(wideningName(id), w.Expires.Add(consentLife))
	switch {
	case err != nil:
		return Result{}, errAgain(errStore(err))
	case !first:
		return Result{}, errWideningUsed()
	}
	return f.widened(context.WithoutCancel(ctx), cl, w) // who closes the browser now is told by the list
}

// findWidening looks up what an answer belongs to. It uses nothing up.
func (f *Flow) findWidening(cl *Client, id, browser string) (*widening, error) {
	w, found := new(widening), false
	if isID(id) {
		var err error
		if found, err = f.find(cl, wideningName(id), w); err != nil {
			return nil, errAgain(err)
		}
	}
	if !found || !w.Browser.is(browser) {
		return nil, errNoWidening()
	}
	used, err := f.pending.NonceConsumed(wideningName(id))
	switch {
	case err != nil:
		return nil, errAgain(errStore(err))
	case used:
		return nil, errWideningUsed()
	case time.Now().After(w.Expires):
		return nil, errWideningExpired()
	}
	return w, nil
}

// widened asks what the grant has now, and stores that.
func (f *Flow) widened(ctx context.Context, cl *Client, w *widening) (Result, error) {
	grant, err := f.grantOf(cl, w.Account)
	if err != nil {
		return Result{}, err
	}
	if identifyGrant(grant) != w.Grant {
		return Result{}, errGrantChanged(cl, w.Account)
	}
	scopes, err := f.askScopes(ctx, cl, grant, w)
	if err != nil {
		return Result{}, errNotAsked(err)
	}
	result := cl.result(w.Account, grant)
	if len(scopes) == 0 {
		scopes = joinScopes(w.Granted, w.Scopes)
		result.warn("Zoho does not say which scopes the grant has, so its word that they were added is all there is; " +
			"`caddy zoho doctor` tries calls")
	}
	missing := zoho.MissingScopes(scopes, w.Scopes)
	result.Scopes = scopes
	result.Added = slices.DeleteFunc(slices.Clone(w.Scopes), func(s string) bool { return slices.Contains(missing, s) })
	if err := f.storeScopes(cl, w, scopes); err != nil {
		result.warn("what the grant has now could not be stored, and is known until the next restart: %v", err)
	}
	if len(missing) > 0 {
		return result, errStillMissing(cl, w.Account, missing)
	}
	f.Widened(result)
	return result, nil
}

// joinScopes are the scopes of both, each once.
func joinScopes(granted, added []string) []string {
	return append(slices.Clone(granted), zoho.MissingScopes(granted, added)...)
}

// storeScopes notes in the stored grant what it has, unless the account has another one by now. What is known
// of a configured one is kept with its token.
func (f *Flow) storeScopes(cl *Client, w *widening, scopes []string) error {
	if cl.configured(w.Account) {
		return nil
	}
	c, err := f.beginChange(cl.key(w.Account))
	if err != nil {
		return err
	}
	defer c.end()
	grant, _, err := f.currentGrant(cl, w.Account, false)
	switch {
	case err != nil:
		return err
	case identifyGrant(grant) != w.Grant, slices.Equal(grant.Scopes, scopes):
		return nil
	case c.late():
		return errChanging(cl.key(w.Account))
	}
	grant.Scopes = scopes
	return f.saveGrant(cl, w.Account, grant)
}
