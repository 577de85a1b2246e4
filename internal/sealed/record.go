package sealed

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Record is a tokencache.Record. Only the token is sealed, so that the
// state counts whatever keys are configured, and so does the ledger, which stands
// in a bucket of its own. Times are UTC, to the nanosecond; what is not there is zero:
//
//	{
//	  "fingerprint": "77b4…",           of the grant, 16 bytes in hex
//	  "generation": 7,
//	  "token": {"key": "5f0c…", "sealed": "base64"},
//	  "issued": "2026-01-02T03:04:05Z",
//	  "expiry": "2026-01-02T04:04:05Z",
//	  "renew_at": "2026-01-02T03:59:05Z",
//	  "api_domain": "https://www.zohoapis.com",
//	  "scope": "ZohoCRM.modules.ALL",
//	  "state": "throttled", "failures": 2, "next_try": "…",   as tokencache has it
//	  "last_error": "…", "last_error_at": "…",
//	  "used": "…"
//	}
type Record struct {
	Fingerprint string    `json:"fingerprint"`
	Generation  uint64    `json:"generation"`
	Token       *Box      `json:"token,omitempty"`
	Issued      time.Time `json:"issued,omitzero"`
	Expiry      time.Time `json:"expiry,omitzero"`
	RenewAt     time.Time `json:"renew_at,omitzero"`
	APIDomain   string    `json:"api_domain,omitempty"`
	Scope       string    `json:"scope,omitempty"`
	State       string    `json:"state,omitempty"`
	Failures    int       `json:"failures,omitempty"`
	NextTry     time.Time `json:"next_try,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	Used        time.Time `json:"used,omitzero"`
}

// Grant is a tokencache.Grant; the time is there for the reader of a dump.
//
//	{"granted_at": "2026-01-02T03:04:05Z", "grant": {"key": "5f0c…", "sealed": "base64"}}
type Grant struct {
	GrantedAt time.Time `json:"granted_at,omitzero"`
	Grant     Box       `json:"grant"`
}

// plainGrant is what Grant.Grant holds once opened.
type plainGrant struct {
	RefreshToken   string    `json:"refresh_token"`
	GrantType      string    `json:"-"` // a grant of this kind is not stored
	SOID           string    `json:"-"`
	AccountsServer string    `json:"accounts_server"`
	APIDomain      string    `json:"api_domain,omitempty"`
	Scopes         []string  `json:"scopes,omitempty"`
	GrantedAt      time.Time `json:"granted_at,omitzero"`
	User           string    `json:"user,omitempty"`
	Org            string    `json:"org,omitempty"`
	RefreshTokens  int       `json:"refresh_tokens,omitempty"`
}

// KeyOf is the id of the data key that seals a grant as Pack has it, found without decoding
// what is sealed.
func KeyOf(packed []byte) string {
	var w struct { // of Grant
		Grant struct {
			Key string `json:"key"`
		} `json:"grant"`
	}
	if len(packed) > sumSize {
		_ = json.Unmarshal(packed[sumSize:], &w)
	}
	return w.Grant.Key
}

// SealGrant is the stored form of a grant: its account alone opens it.
func (k *DataKey) SealGrant(key tokencache.Key, g tokencache.Grant) (Grant, error) {
	g.GrantedAt = UTC(g.GrantedAt)
	text, err := json.Marshal(plainGrant(g))
	if err != nil {
		return Grant{}, fmt.Errorf("grant of %s: encoding failed", key)
	}
	return Grant{GrantedAt: g.GrantedAt, Grant: k.Seal(text, grantPlace(key))}, nil
}

// Open is the grant that was sealed for the account.
func (w Grant) Open(k *DataKey, key tokencache.Key) (tokencache.Grant, error) {
	text, err := k.Open(w.Grant, grantPlace(key))
	if err != nil {
		return tokencache.Grant{}, err
	}
	var g plainGrant
	if json.Unmarshal(text, &g) != nil {
		return tokencache.Grant{}, fmt.Errorf("%w: not the JSON that was written", tokencache.ErrDamaged)
	}
	g.GrantedAt = UTC(g.GrantedAt)
	return tokencache.Grant(g), nil
}

// NewRecord is a record without its token and its ledger, which are stored apart.
func NewRecord(r tokencache.Record) Record {
	return Record{
		Fingerprint: r.Fingerprint.String(),
		Generation:  r.Generation,
		Issued:      UTC(r.Issued),
		Expiry:      UTC(r.Expiry),
		RenewAt:     UTC(r.RenewAt),
		APIDomain:   r.APIDomain,
		Scope:       r.Scope,
		State:       r.State,
		Failures:    r.Failures,
		NextTry:     UTC(r.NextTry),
		LastError:   r.LastError,
		LastErrorAt: UTC(r.LastErrorAt),
		Used:        UTC(r.Used),
	}
}

// Record is w without its token, which only the data key opens.
func (w Record) Record() (tokencache.Record, error) {
	r := tokencache.Record{
		Generation:  w.Generation,
		Issued:      UTC(w.Issued),
		Expiry:      UTC(w.Expiry),
		RenewAt:     UTC(w.RenewAt),
		APIDomain:   w.APIDomain,
		Scope:       w.Scope,
		State:       w.State,
		Failures:    w.Failures,
		NextTry:     UTC(w.NextTry),
		LastError:   w.LastError,
		LastErrorAt: UTC(w.LastErrorAt),
		Used:        UTC(w.Used),
	}
	n, err := hex.Decode(r.Fingerprint[:], []byte(w.Fingerprint)[:min(len(w.Fingerprint), 2*len(r.Fingerprint))])
	if err != nil || n != len(r.Fingerprint) || len(w.Fingerprint) != 2*n {
		return tokencache.Record{}, fmt.Errorf("%w: fingerprint", tokencache.ErrDamaged)
	}
	return r, nil
}

// SealToken puts the token of a record into its stored form.
func (w *Record) SealToken(k *DataKey, key tokencache.Key, token string) {
	box := k.Seal([]byte(token), w.place(key))
	w.Token = &box
}

// OpenToken is the token that SealToken has put there for the same connection.
func (w Record) OpenToken(k *DataKey, key tokencache.Key) (string, error) {
	text, err := k.Open(*w.Token, w.place(key))
	return string(text), err
}

// place says where a token is sealed: moved to another record, or beside other
// times, it does not open.
func (w Record) place(key tokencache.Key) Place {
	return Place{Tokens, tokensBucket, key.Client, key.Account, w.Fingerprint,
		fmt.Sprint(w.Generation), w.Expiry.Format(time.RFC3339Nano)}
}

func grantPlace(key tokencache.Key) Place {
	return Place{Grants, grantsBucket, key.Client, key.Account}
}
