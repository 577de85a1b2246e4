package boltstore

import "github.com/caddy-zoho/caddy-zoho/internal/sealed"

// What the files hold, by bucket. Every value is a checksum, which covers its place too, a
// blank and JSON:
//
//	1c291ca3 {"fingerprint":"77b4…","generation":7,…}
//
//	grants.db  about   program, file, schema, grants (how many),   the one bucket without checksums
//	                   changes (number of the last one that stored or deleted a grant)
//	           keys    client             -> keyRing
//	           grants  client -> account  -> storedGrant
//	           deleted client -> account  -> deletion: its grant was deleted
//	           retired client -> data key -> keyRing   of before: no secret opened it when a grant was replaced,
//	                                         and others are sealed by it
//	tokens.db  about   program, file, schema, grants (since when grants.db exists), changes
//	           keys    client             -> keyRing
//	           tokens  client -> account  -> recordJSON
//	           ledgers fingerprint        -> times of the token calls of that grant
//	           deleted client -> account  -> deletion, of versions before a time
//	           spent   id                 -> time until which ConsumeNonce remembers it
const (
	grantsFile = sealed.Grants
	tokensFile = sealed.Tokens

	bucketAbout   = "about"
	bucketKeys    = "keys"
	bucketGrants  = "grants"
	bucketRetired = "retired"
	bucketTokens  = "tokens"
	bucketDeleted = "deleted"
	bucketLedgers = "ledgers"
	bucketSpent   = "spent"
)
