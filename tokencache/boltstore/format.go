package boltstore

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/lengthprefix"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// What the files hold, by bucket. Every value is a checksum, which covers its place too, a
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
	grantsFile = "grants.db"
	tokensFile = "tokens.db"

	bucketAbout   = "about"
	bucketKeys    = "keys"
	bucketGrants  = "grants"
	bucketRetired = "retired"
	bucketTokens  = "tokens"
	bucketDeleted = "deleted"
	bucketLedgers = "ledgers"
	bucketSpent   = "spent"
)

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
	sum := crc32.Update(crc32.Checksum(lengthprefix.Join(at...), castagnoli), castagnoli, text)
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], sum)
	return append(hex.AppendEncode(make([]byte, 0, sumSize), b[:]), ' ')
}

// utc is the form that times are stored in: no monotonic reading, no zone.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC()
}
