package boltstore

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// recordJSON is a Record in tokens.db. Only the token is sealed, so that the
// state counts whatever keys are configured, and so does the ledger, which stands
// in a bucket of its own. Times are UTC, to the nanosecond; what is not there is zero:
//
//	{
//	  "fingerprint": "77b4…",           of the grant, 16 bytes in hex
//	  "generation": 7,
//	  "token": {"key": "5f0c…", "sealed": "base64"},
//	  "issued": "2026-01-02T03:04:05Z",
//	  "expiry": "2026-01-02T04:04:05Z",
//	  "api_domain": "https://www.zohoapis.com",
//	  "scope": "ZohoCRM.modules.ALL",
//	  "state": "throttled", "failures": 2, "next_try": "…",   as tokencache has it
//	  "last_error": "…", "last_error_at": "…",
//	  "used": "…"
//	}
type recordJSON struct {
	Fingerprint string    `json:"fingerprint"`
	Generation  uint64    `json:"generation"`
	Token       *sealed   `json:"token,omitempty"`
	Issued      time.Time `json:"issued,omitzero"`
	Expiry      time.Time `json:"expiry,omitzero"`
	APIDomain   string    `json:"api_domain,omitempty"`
	Scope       string    `json:"scope,omitempty"`
	State       string    `json:"state,omitempty"`
	Failures    int       `json:"failures,omitempty"`
	NextTry     time.Time `json:"next_try,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	Used        time.Time `json:"used,omitzero"`
}

// grantJSON is a Grant in grants.db; the time is there for the reader of a dump.
//
//	{"granted_at": "2026-01-02T03:04:05Z", "grant": {"key": "5f0c…", "sealed": "base64"}}
type grantJSON struct {
	GrantedAt time.Time `json:"granted_at,omitzero"`
	Grant     sealed    `json:"grant"`
}

// sealedGrant is what grantJSON.Grant holds once opened.
type sealedGrant struct {
	RefreshToken   string    `json:"refresh_token"`
	AccountsServer string    `json:"accounts_server"`
	APIDomain      string    `json:"api_domain,omitempty"`
	Scopes         []string  `json:"scopes,omitempty"`
	GrantedAt      time.Time `json:"granted_at,omitzero"`
	User           string    `json:"user,omitempty"`
	Org            string    `json:"org,omitempty"`
	RefreshTokens  int       `json:"refresh_tokens,omitempty"`
}

// toJSON is a record without its token and its ledger, which are stored apart.
func toJSON(r tokencache.Record) recordJSON {
	return recordJSON{
		Fingerprint: r.Fingerprint.String(),
		Generation:  r.Generation,
		Issued:      utc(r.Issued),
		Expiry:      utc(r.Expiry),
		APIDomain:   r.APIDomain,
		Scope:       r.Scope,
		State:       r.State,
		Failures:    r.Failures,
		NextTry:     utc(r.NextTry),
		LastError:   r.LastError,
		LastErrorAt: utc(r.LastErrorAt),
		Used:        utc(r.Used),
	}
}

// record is w without its token, which only the data key opens.
func (w recordJSON) record() (tokencache.Record, error) {
	r := tokencache.Record{
		Generation:  w.Generation,
		Issued:      utc(w.Issued),
		Expiry:      utc(w.Expiry),
		APIDomain:   w.APIDomain,
		Scope:       w.Scope,
		State:       w.State,
		Failures:    w.Failures,
		NextTry:     utc(w.NextTry),
		LastError:   w.LastError,
		LastErrorAt: utc(w.LastErrorAt),
		Used:        utc(w.Used),
	}
	n, err := hex.Decode(r.Fingerprint[:], []byte(w.Fingerprint)[:min(len(w.Fingerprint), 2*len(r.Fingerprint))])
	if err != nil || n != len(r.Fingerprint) || len(w.Fingerprint) != 2*n {
		return tokencache.Record{}, fmt.Errorf("%w: fingerprint", tokencache.ErrDamaged)
	}
	return r, nil
}

// place says where a token is sealed: moved to another record, or beside other
// times, it does not open.
func (w recordJSON) place(key tokencache.Key) place {
	return place{tokensFile, bucketTokens, key.Client, key.Account, w.Fingerprint,
		fmt.Sprint(w.Generation), w.Expiry.Format(time.RFC3339Nano)}
}

func grantPlace(key tokencache.Key) place {
	return place{grantsFile, bucketGrants, key.Client, key.Account}
}
