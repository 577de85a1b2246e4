package tokencache

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/lengthprefix"
)

// Key names a connection: one account of one client.
type Key struct {
	Client  string
	Account string
}

// String returns "client/account".
func (k Key) String() string { return k.Client + "/" + k.Account }

// Compare orders by client, then account, as slices.SortFunc wants it.
func (k Key) Compare(other Key) int {
	return cmp.Or(strings.Compare(k.Client, other.Client), strings.Compare(k.Account, other.Account))
}

// Grant is what consent gave, or what stands in its place: with a GrantType nobody consents,
// and there is no refresh token. Every way to print or marshal it leaves the
// refresh token out; only the store writes it, sealed. (fmt cannot call
// methods on a value in an unexported struct field: keep a pointer there.)
type Grant struct {
	RefreshToken string
	// GrantType is how a token is asked for without a refresh token, as in client_credentials; "" = by
	// the refresh token. Such a grant is always configured, and no store takes it.
	GrantType      string
	SOID           string    // organization that a token is asked for, with a GrantType; "" = none is named
	AccountsServer string    // where it was given and is renewed, a base URL
	APIDomain      string    // as the token reply named it, "" if unknown
	Scopes         []string  // as granted
	GrantedAt      time.Time // wall clock
	User           string    // who consented, "" if unknown
	Org            string    // of which organization, "" if unknown
	RefreshTokens  int       // how many are known to be in use for the account, this one included; 0 = unknown
}

// Fingerprint tells the records of one grant from those of another: another client id,
// accounts server or refresh token gives another fingerprint. So does, where there is no
// refresh token, another grant type, organization or set of scopes.
type Fingerprint [16]byte

// String returns the fingerprint in hex.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// MakeFingerprint digests the client id, the accounts server and the refresh token, or what
// a token is asked for without one: neither the order of the scopes counts, nor whether one
// is named twice. It reveals none of them.
func MakeFingerprint(clientID string, g Grant) Fingerprint {
	parts := []string{"fingerprint", clientID, g.AccountsServer, g.RefreshToken}
	if g.GrantType != "" {
		parts = append(parts, g.GrantType, g.SOID)
		parts = append(parts, slices.Compact(slices.Sorted(slices.Values(g.Scopes)))...)
	}
	return digest(parts...)
}

// makeLedgerID says which token calls are counted together. Zoho counts those of a refresh
// token. Without one, whatever the account, organization and data center, they are taken for
// calls of the client: nothing is published, and that is the most careful reading.
func makeLedgerID(clientID string, g Grant) Fingerprint {
	if g.GrantType != "" {
		return digest("ledger", clientID, g.GrantType)
	}
	return MakeFingerprint(clientID, g)
}

func digest(parts ...string) Fingerprint {
	sum := sha256.Sum256(lengthprefix.Join(parts...))
	return Fingerprint(sum[:16])
}

// Token is an access token. It is immutable once published, and redacts
// itself as Grant does.
type Token struct {
	Value      string
	Generation uint64    // counts the access tokens of a connection, from 1; only grows, restarts included
	Issued     time.Time // wall clock
	Expiry     time.Time // wall clock, absolute
	APIDomain  string
	Scope      string

	deadline time.Duration // Expiry on the monotonic clock (Instant.Mono)
	cure     Mark          // of the flight that got it because another token was refused, 0 = it was got otherwise
}

const redacted = "REDACTED"

// hide stands for a secret in print: it tells only whether there is one.
func hide(secret string) string {
	if secret == "" {
		return ""
	}
	return redacted
}

// String describes the grant without its refresh token.
func (g Grant) String() string {
	if g.GrantType != "" {
		return fmt.Sprintf("grant{grant_type:%s soid:%s accounts_server:%s scopes:%s}",
			g.GrantType, g.SOID, g.AccountsServer, strings.Join(g.Scopes, ","))
	}
	return fmt.Sprintf("grant{refresh_token:%s accounts_server:%s scopes:%s granted_at:%s}",
		hide(g.RefreshToken), g.AccountsServer, strings.Join(g.Scopes, ","), g.GrantedAt.Format(time.RFC3339))
}

// GoString is String, for %#v.
func (g Grant) GoString() string { return g.String() }

// Format prints String under every verb.
func (g Grant) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, g.String()) }

// LogValue is String, for slog.
func (g Grant) LogValue() slog.Value { return slog.StringValue(g.String()) }

// MarshalText is String, for encoders.
func (g Grant) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// MarshalJSON is String as a JSON string.
func (g Grant) MarshalJSON() ([]byte, error) { return json.Marshal(g.String()) }

// String describes the token without its value.
func (t Token) String() string {
	return fmt.Sprintf("token{value:%s generation:%d expiry:%s}",
		hide(t.Value), t.Generation, t.Expiry.Format(time.RFC3339))
}

// GoString is String, for %#v.
func (t Token) GoString() string { return t.String() }

// Format prints String under every verb.
func (t Token) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, t.String()) }

// LogValue is String, for slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText is String, for encoders.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON is String as a JSON string.
func (t Token) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
