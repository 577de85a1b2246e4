package onboard

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// readInvitation opens the token of a link. One that is genuine and not good any more is given with the error.
func (f *Flow) readInvitation(cl *Client, token string) (*Invitation, error) {
	payload, mac, _ := strings.Cut(token, ".")
	genuine := false
	for _, key := range cl.Cache.Secrets() {
		genuine = hmac.Equal([]byte(mac), []byte(sign(key, payload))) || genuine
	}
	inv := new(Invitation)
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if !genuine || err != nil || json.Unmarshal(text, inv) != nil || inv.Client != cl.Name {
		return nil, errInvitation("This link is not an invitation, or a part of it is missing.")
	}
	return inv, f.checkInvitation(cl, inv)
}

// checkInvitation says why an invitation is not good any more.
func (f *Flow) checkInvitation(cl *Client, inv *Invitation) error {
	if inv == nil {
		return nil
	}
	used, err := f.store.NonceConsumed(inv.ID)
	switch {
	case err != nil:
		return errStore(err)
	case used:
		return f.errInvitationUsed(cl, inv)
	case time.Now().After(inv.Expires):
		return errInvitation("This invitation has expired.")
	}
	return cl.mayReplace(inv.Account)
}

// consumeInvitation ends an invitation, before what it brought is stored: of several browsers that
// come back at the same time one is served. What the others brought is given back.
func (f *Flow) consumeInvitation(cl *Client, p *pendingGrant) error {
	if p.invited == nil {
		return nil
	}
	first, err := f.store.ConsumeNonce(p.invited.ID, p.invited.Expires)
	switch {
	case err != nil:
		return errStore(err)
	case !first:
		return f.errInvitationUsed(cl, p.invited)
	}
	return nil
}

// mayTakeOver reports whether an invitation puts another user in the place of the previous one: where the operator has
// said so, or where the previous grant is dead.
func (f *Flow) mayTakeOver(cl *Client, p *pendingGrant) bool {
	return p.invited != nil && (p.invited.Replace || f.dead(cl, p.account))
}

// dead reports whether Zoho is known to accept the grant of an account no longer. What cannot be told is not dead.
func (f *Flow) dead(cl *Client, account string) bool {
	return slices.ContainsFunc(f.cache.Status(cl.Cache, account), func(s tokencache.Status) bool {
		return s.HasGrant && s.NeedsConsent()
	})
}

// works is what is known of an account whose grant Zoho accepts, as far as that is known; nil if there is none.
func (f *Flow) works(cl *Client, account string) *tokencache.Status {
	for _, s := range f.cache.Status(cl.Cache, account) {
		if s.HasGrant && !s.NeedsConsent() {
			return &s
		}
	}
	return nil
}

// ConnectedBy is who has connected an account that works, "" if it does not: an invitation puts nobody else in their
// place, unless the operator says so.
func (f *Flow) ConnectedBy(cl *Client, account string) string {
	s := f.works(cl, account)
	if s == nil {
		return ""
	}
	return cl.result(account, tokencache.Grant{User: s.User, Org: s.Org, AccountsServer: s.AccountsServer}).who()
}

// errInvitationUsed is for who clicks a link once more: what they want to know is whether it has worked.
func (f *Flow) errInvitationUsed(cl *Client, inv *Invitation) error {
	if now := f.works(cl, inv.Account); now == nil || now.GrantedAt.Before(inv.Issued) { // connected before that link
		return errInvitation("This link was used already.")
	}
	return &Error{
		Status:    http.StatusConflict,
		Code:      codeInvitation,
		Title:     titleConnected,
		Text:      "This link was used already, and the account is connected.",
		Remedy:    doneAlready,
		ToInvited: doneAlready,
	}
}
