package onboard

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// readInvitation opens the token of a link.
func (f *Flow) readInvitation(cl *Client, token string) (*Invitation, error) {
	payload, mac, _ := strings.Cut(token, ".")
	genuine := false
	for _, key := range cl.Cache.Secrets() {
		genuine = hmac.Equal([]byte(mac), []byte(sign(key, payload))) || genuine
	}
	inv := new(Invitation)
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if !genuine || err != nil || json.Unmarshal(text, inv) != nil || inv.Client != cl.Name {
		return nil, errInvitation("This link is no invitation, or not a whole one.")
	}
	if err := f.checkInvitation(cl, inv); err != nil {
		return nil, err
	}
	return inv, nil
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
		return errInvitation("This invitation was used.")
	case time.Now().After(inv.Expires):
		return errInvitation("This invitation has expired.")
	}
	return cl.mayReplace(inv.Account)
}

// consumeInvitation ends an invitation, before what it brought is stored: of several browsers that
// come back at the same time one is served. What the others brought is given back.
func (f *Flow) consumeInvitation(p *pendingGrant) error {
	if p.invited == nil {
		return nil
	}
	first, err := f.store.ConsumeNonce(p.invited.ID, p.invited.Expires)
	switch {
	case err != nil:
		return errStore(err)
	case !first:
		return errInvitation("This invitation was used.")
	}
	return nil
}
