package boltstore

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Buckets. Every value in them is a checksum, which covers its place too, a
// blank and JSON:
//
//	1c291ca3 {"fingerprint":"77b4…","generation":7,…}
//
//	grants.db  about   program, file, schema, grants (how many)   the one bucket without checksums
//	           keys    client             -> keyRing
//	           grants  client -> account  -> grantJSON
//	           retired client -> data key -> keyRing   of before: no secret opened it when a grant was replaced,
//	                                         and others are sealed by it
//	tokens.db  about   program, file, schema, grants (since when grants.db exists)
//	           keys    client             -> keyRing
//	           tokens  client -> account  -> recordJSON
//	           ledgers fingerprint        -> times of the token calls of that grant
//	           deleted client -> account  -> time: a grant that was deleted
//	           spent   id                 -> time until which ConsumeNonce remembers it
const (
	bucketAbout   = "about"
	bucketKeys    = "keys"
	bucketGrants  = "grants"
	bucketRetired = "retired"
	bucketTokens  = "tokens"
	bucketDeleted = "deleted"
	bucketLedgers = "ledgers"
	bucketSpent   = "spent"
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

// utc is the form that times are stored in: no monotonic reading, no zone.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC()
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

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const sumSize = 9 // eight hex digits and a blank

// The checksum is CRC-32C of the place, its parts length-prefixed, and of the JSON. It keeps
// nobody from changing a record who wants to; that is what sealing is for. It finds what
// a disk or a hand with an editor has done to what is not sealed, as the count of a grant's
// calls or the wraps of a key, and tells such damage from a wrong key.

// pack is the stored form of v at a place (bucket and keys).
func pack(v any, at ...string) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return append(sumText(text, at...), text...), nil
}

// unpack reads into v what pack made for the same place. Its error holds
// nothing of the data.
func unpack(data []byte, v any, at ...string) error {
	if !intact(data, at...) {
		return fmt.Errorf("%w: wrong checksum", tokencache.ErrDamaged)
	}
	if err := json.Unmarshal(data[sumSize:], v); err != nil {
		return fmt.Errorf("%w: not the JSON that was written", tokencache.ErrDamaged)
	}
	return nil
}

// intact reports whether data is as it was written, and where it was written.
func intact(data []byte, at ...string) bool {
	return len(data) >= sumSize && bytes.Equal(data[:sumSize], sumText(data[sumSize:], at...))
}

func sumText(text []byte, at ...string) []byte {
	sum := crc32.Update(crc32.Checksum(lengthPrefixed(at...), castagnoli), castagnoli, text)
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], sum)
	return append(hex.AppendEncode(make([]byte, 0, sumSize), b[:]), ' ')
}
