package redisstore

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// What Redis holds, each key behind the prefix. Values are those of the embedded store (a
// checksum, which covers their place too, a blank and JSON), unless it says otherwise:
//
//	about                       program, schema, id
//	clients                     set of clients that have or had a grant
//	accounts:CLIENT             set of accounts; may lag, so what it names is looked for
//	deletions:CLIENT            set of accounts with a mark of deletion; may lag as well
//	keys:FILE:CLIENT            KeyRing that seals now, of grants or of tokens
//	retired:CLIENT:DATAKEY      KeyRing of before that grants are still sealed by
//	{CLIENT/ACCOUNT}:grant      Grant
//	{CLIENT/ACCOUNT}:deleted    time: a grant that was deleted
//	{CLIENT/ACCOUNT}:record     hash; expires
//	    record, token           Record without its token, and the Box of that
//	    with                    Record that the token came with, where a later one of it has none
//	    generation, fingerprint of the record; mark tells its token from another one
//	    highest                 generation that was given out or stored
//	    overtaken               generation up to which no token is stored, since the grant was deleted
//	    digest                  of all but the time of use
//	{CLIENT/ACCOUNT}:lease      id of the lease; expires
//	{FINGERPRINT}:calls         sorted set: the ledger of a grant, by time in microseconds; expires
//	{FINGERPRINT}:window        the longest window that the ledger is counted by; expires
//	nonce:ID                    used until it expires
//	pending:CLIENT:NAME         Box of a value; expires
//	changes                     stream of what was changed, the latest
//	trial                       stream that is tried, and deleted at once
//
// What stands in braces is all that a cluster goes by, so that a script finds its keys at one
// node. Names are escaped, so that no name ends a brace or looks like two.
type layout struct{ prefix string }

func (l layout) about() string                 { return l.prefix + "about" }
func (l layout) clients() string               { return l.prefix + "clients" }
func (l layout) changes() string               { return l.prefix + "changes" }
func (l layout) trial() string                 { return l.prefix + "trial" }
func (l layout) accounts(client string) string { return l.prefix + "accounts:" + escape(client) }
func (l layout) nonce(id string) string        { return l.prefix + "nonce:" + escape(id) }
func (l layout) retired(client, id string) string {
	return l.prefix + "retired:" + escape(client) + ":" + escape(id)
}
func (l layout) pending(client, name string) string {
	return l.prefix + "pending:" + escape(client) + ":" + escape(name)
}

func (l layout) deletions(client string) string { return l.prefix + "deletions:" + escape(client) }

// ring is where the data key is that seals a client's grants or tokens.
func (l layout) ring(file, client string) string {
	return l.prefix + "keys:" + strings.TrimSuffix(file, ".db") + ":" + escape(client)
}

func (l layout) connection(key tokencache.Key, what string) string {
	return l.prefix + "{" + escape(key.Client) + "/" + escape(key.Account) + "}:" + what
}

func (l layout) grant(key tokencache.Key) string   { return l.connection(key, "grant") }
func (l layout) deleted(key tokencache.Key) string { return l.connection(key, "deleted") }
func (l layout) record(key tokencache.Key) string  { return l.connection(key, "record") }
func (l layout) lease(key tokencache.Key) string   { return l.connection(key, "lease") }

// ledger are the keys of a ledger.
func (l layout) ledger(of tokencache.Fingerprint) []string {
	tag := l.prefix + "{" + of.String() + "}:"
	return []string{tag + "calls", tag + "window"}
}

// recordLife is how long a record stays that nobody writes.
const recordLife = 30 * 24 * time.Hour

// What values are bound to by their checksums: the names of the embedded store, so that what
// is stored can be moved from one to the other as it is.
const (
	placeGrants  = "grants"
	placeTokens  = "tokens"
	placeKeys    = "keys"
	placeRetired = "retired"
	placePending = "pending"
)

// A pending value is sealed for its place, as a token is.
func pendingPlace(client, name string) sealed.Place {
	return sealed.Place{sealed.Tokens, placePending, client, name}
}

// escape writes a name such that it holds neither braces nor separators.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.@+", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// maxName is how long the names of a connection may be together.
const maxName = 32 << 10

func checkKey(key tokencache.Key) error {
	if key.Client == "" || key.Account == "" || len(key.Client)+len(key.Account) > maxName {
		return fmt.Errorf("connection %.200q: client and account must have a name that is not too long", key.String())
	}
	return nil
}
