package onboard

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Begin notes a consent and gives the address at Zoho that the browser is sent to, and
// the state that the callback brings back.
func (f *Flow) Begin(cl *Client, s Start) (url, state string, _ error) {
	if err := cl.mayReplace(s.Account); err != nil {
		return "", "", err
	}
	switch {
	case len(cl.Scopes) == 0:
		return "", "", errNoScopes(cl)
	case s.RedirectURI == "":
		return "", "", errNoRedirectURI(cl, s.Account)
	}
	soid := cl.soid(s.Account)
	if cl.Org && soid == "" {
		return "", "", errNoSOID(cl, s.Account)
	}
	c := &consent{
		Account:     s.Account,
		RedirectURI: s.RedirectURI,
		Browser:     identify(s.Browser),
		Pasted:      s.Browser == "",
		RevokeOld:   s.RevokeOld,
		ReplaceLost: s.ReplaceLost,
		SOID:        soid,
		Invitation:  s.invitation,
		Expires:     time.Now().Add(consentLife),
	}
	state = rand.Text()
	unregister, err := f.register(s.startsOf(cl), state, begun{s.originOf(), c.Expires}) // before anything is written
	if err != nil {
		return "", "", err
	}
	if err = f.checkStore(cl, s.Account, s.ReplaceLost); err == nil {
		err = f.keep(cl, consentName(state), c, 2*consentLife)
	}
	if err != nil {
		unregister()
		return "", "", err
	}
	accounts := zoho.Accounts{DataCenter: cl.Centers[0], ClientID: cl.ID()}
	params := zoho.AuthorizeParams{RedirectURI: s.RedirectURI, State: state, Scopes: cl.Scopes, SOID: soid}
	return accounts.AuthorizeURL(params), state, nil
}

// startsOf is what starts are counted by: whoever has an invitation is not to keep the
// operator from the account.
func (s *Start) startsOf(cl *Client) tokencache.Key {
	key := cl.key(s.Account)
	if s.invitation != nil {
		key.Account += " by invitation " + s.invitation.ID
	}
	return key
}

// Finish takes the callback of a consent: exchanges the code where it was given, and
// stores the grant before it says so. An error leaves what was stored as it was.
func (f *Flow) Finish(ctx context.Context, cl *Client, cb Callback, browser string) (Result, error) {
	result, _, err := f.finish(ctx, cl, cb, browser)
	return result, err
}

func (f *Flow) finish(ctx context.Context, cl *Client, cb Callback, browser string) (Result, *consent, error) {
	if cb.repeated {
		return Result{}, nil, errAnswer(answerTwice)
	}
	if err := cl.validateCode(cl.Centers[0], cb.Code); err != nil { // the consent goes on
		return Result{}, nil, err
	}
	c, err := f.findConsent(cl, cb.State, browser)
	if err != nil {
		return Result{}, c, err
	}
	center, refused := f.mayFinish(cl, cb, c)
	if isAway(refused) {
		return Result{}, c, errAgain(refused)
	}
	if err := f.useConsent(cb.State, c); err != nil {
		return Result{}, c, err
	}
	if refused != nil {
		return Result{}, c, refused
	}
	p, failed := f.exchange(ctx, cl, center, c.Account, cb.Code, c.RedirectURI)
	if failed != nil {
		return Result{}, c, errCallbackCode(failed, cb, center)
	}
	p.browser, p.invited, p.revokeOld, p.replaceLost = c.Browser, c.Invitation, c.RevokeOld, c.ReplaceLost
	p.soid = c.SOID
	result, err := f.complete(ctx, cl, p)
	return result, c, err
}

// mayFinish looks whether a callback brings a code, where it is good, and whether what comes of it
// could be stored.
func (f *Flow) mayFinish(cl *Client, cb Callback, c *consent) (center zoho.DataCenter, _ error) {
	switch {
	case cb.Error != "":
		return center, errDenied(cl, cb.Error)
	case cb.Code == "":
		return center, errCallback("The answer holds no code.",
			"Paste the whole address that the browser ended at, or start over.")
	}
	center = cl.Centers[0]
	if cb.AccountsServer != "" {
		var ok bool
		if center, ok = cl.center(cb.AccountsServer); !ok {
			return center, errServer(cl, cb.AccountsServer)
		}
	}
	if err := f.checkInvitation(cl, c.Invitation); err != nil {
		return center, err
	}
	if err := cl.mayReplace(c.Account); err != nil {
		return center, err
	}
	return center, f.checkStore(cl, c.Account, c.ReplaceLost)
}

// consent is a Start that waits for its callback. It is kept for a while after it has expired, to
// tell that, or a second use, from an invention.
type consent struct {
	Account     string
	RedirectURI string
	Browser     browserID
	Pasted      bool // no browser is to come
	RevokeOld   bool
	ReplaceLost bool
	SOID        string // organization that is asked, "" for a user
	Invitation  *Invitation
	Expires     time.Time
}

func consentName(state string) string { return "consent " + digest(state) }

// AccountOf is the account of a consent, by its state, of scopes that are being added, or of a grant that
// waits to be confirmed, by its id; "" if there is none of them.
func (f *Flow) AccountOf(cl *Client, id string) (string, error) {
	if !isID(id) {
		return "", nil
	}
	var c consent
	if found, err := f.find(cl, consentName(id), &c); found || err != nil {
		return c.Account, err
	}
	var adding widening
	if found, err := f.find(cl, wideningName(id), &adding); found || err != nil {
		return adding.Account, err
	}
	var w waitingGrant
	_, err := f.find(cl, unconfirmedName(id), &w)
	return w.Account, err
}

// findConsent looks up what a callback belongs to, and whether it may come: once, for its client,
// in the browser that it was made for. It uses nothing up.
func (f *Flow) findConsent(cl *Client, state, browser string) (*consent, error) {
	if state == "" {
		return nil, errAnswer(answerNoState)
	}
	c, found := new(consent), false
	if isID(state) {
		var err error
		if found, err = f.find(cl, consentName(state), c); err != nil {
			return nil, errAgain(err)
		}
	}
	switch {
	case !found:
		return nil, errAnswer(answerUnknown)
	case c.Pasted && browser != "":
		return nil, errPaste()
	case !c.Browser.is(browser):
		return nil, errAnswer(answerOtherBrowser)
	}
	used, err := f.pending.NonceConsumed(consentName(state))
	switch {
	case err != nil:
		return c, errAgain(errStore(err))
	case used:
		return c, errUsed()
	case time.Now().After(c.Expires):
		return c, errState("This consent was started more than 10 minutes ago.")
	}
	return c, nil
}

// useConsent uses a state up. Of several who come with it at the same time, at whatever replica,
// one may go on.
func (f *Flow) useConsent(state string, c *consent) error {
	first, err := f.pending.ConsumeNonce(consentName(state), c.Expires.Add(consentLife))
	switch {
	case err != nil:
		return errAgain(errStore(err))
	case !first:
		return errUsed()
	}
	return nil
}
